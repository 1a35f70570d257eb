import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { createUnderway } from '../../daemon/pipeline/underway.ts'

test('so many set-ups work at once, the rest in the order in which they came; copies do not wait for them', async () => {
  const underway = createUnderway(createLog(() => {}))
  const { signal } = new AbortController()
  const begun: string[] = []
  const ends: (() => void)[] = []
  const begin = (kind: 'set-up' | 'copy', id: string) => {
    const task = () => {
      begun.push(id)
      return new Promise<void>((resolve) => ends.push(resolve))
    }
    underway.begin(kind, id, () => underway.inTurn(kind, task, signal))
  }
  const ids = Array.from({ length: limits.setupsAtOnce + 2 }, (_, n) => `set-up ${n}`)
  for (const id of ids) begin('set-up', id)
  await turn()
  assert.equal(begun, ids.slice(0, limits.setupsAtOnce))
  begin('copy', 'a copy')
  await turn()
  assert.equal(begun, [...ids.slice(0, limits.setupsAtOnce), 'a copy'])
  ends[0]?.()
  await turn()
  assert.is(begun.at(-1), ids[limits.setupsAtOnce])
})

test('work that throws is told of in the log', async () => {
  const logged: string[] = []
  const underway = createUnderway(createLog((line) => logged.push(line)))
  underway.begin('set-up', 'some-id', () => Promise.reject(new Error('no luck')))
  await turn()
  assert.match(logged.join(''), /a set-up broke off.*some-id.*no luck/)
})

test('a stop aborts what works, waits for its end, and begins nothing more', async () => {
  const logged: string[] = []
  const underway = createUnderway(createLog((line) => logged.push(line)))
  const told: string[] = []
  for (let n = 0; n <= limits.setupsAtOnce; n++)
    underway.begin('set-up', `${n}`, (signal) =>
      underway.inTurn(
        'set-up',
        async () => {
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          await turn()
          told.push(`${n} ended`)
          throw signal.reason
        },
        signal,
      ),
    )
  await turn()
  await underway.stop()
  assert.is(told.length, limits.setupsAtOnce)
  underway.begin('promotion', 'late', async () => void told.push('late'))
  await turn()
  assert.is(told.length, limits.setupsAtOnce)
  assert.equal(logged, [])
})

const turn = () => new Promise((resolve) => setImmediate(resolve))

test.run()
