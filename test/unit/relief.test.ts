import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Daemon } from '../../daemon/daemon.ts'
import { type Place, relieve, type Spared, type Stage } from '../../daemon/disk/relief.ts'
import { createLog } from '../../daemon/log.ts'

const said: string[] = []
const d = { log: createLog((line) => said.push(line)) } as unknown as Daemon
const never = new AbortController().signal

/** A disk of which so much is in use, and stages of things that take some of it. */
function diskOf(used: Partial<Record<Place, number>>, most: number) {
  const taken: string[] = []
  const thing = (name: string, size: number, place: Place = 'data', take?: () => Promise<boolean>): Spared => ({
    ...{ kind: 'tree', app: name, places: [place] },
    async take() {
      if (take && !(await take())) return false
      taken.push(name)
      used[place] = (used[place] ?? 0) - size
      return true
    },
  })
  const over = async () =>
    new Set((['data', 'engine'] as const).filter((place) => (used[place] ?? 0) > most)) as ReadonlySet<Place>
  const stage = (...things: Spared[]): Stage =>
    async function* () {
      yield* things
    }
  return { taken, thing, stage, over }
}

test('as much goes as is needed, in the order of the stages, and no more', async () => {
  const { taken, thing, stage, over } = diskOf({ data: 100 }, 50)
  const stages = [stage(thing('a', 20), thing('b', 20)), stage(thing('c', 20), thing('d', 20))]
  const all = await relieve(d, { stages, over }, never)
  assert.equal(taken, ['a', 'b', 'c'])
  assert.equal(
    all.map(({ app }) => app),
    taken,
  )
})

test('nothing goes where there is room', async () => {
  const { taken, thing, stage, over } = diskOf({ data: 50, engine: 100 }, 50)
  await relieve(d, { stages: [stage(thing('tree', 10), thing('image', 60, 'engine'), thing('other', 1))], over }, never)
  assert.equal(taken, ['image'])
})

test('what turns out to be needed, or cannot be removed, is passed over and told', async () => {
  const { taken, thing, stage, over } = diskOf({ data: 100 }, 50)
  const broken = thing('broken', 10, 'data', () => Promise.reject(new Error('the folder is busy')))
  const needed = thing('needed', 10, 'data', async () => false)
  await relieve(d, { stages: [stage(broken, needed, thing('c', 60))], over }, never)
  assert.equal(taken, ['c'])
  assert.match(said.join(''), 'the folder is busy')
})

test('a daemon that stops takes nothing more', async () => {
  const stop = new AbortController()
  const { taken, thing, stage, over } = diskOf({ data: 100 }, 0)
  const last = thing('b', 1, 'data', async () => {
    stop.abort()
    return true
  })
  await relieve(d, { stages: [stage(thing('a', 1), last, thing('c', 1))], over }, stop.signal)
  assert.equal(taken, ['a', 'b'])
})

test.run()
