import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Placed } from '../../daemon/engine/engine.ts'
import { createListing, type Line } from '../../daemon/engine/listing.ts'

/** An engine of which it is noted what was inspected since the last list. */
function open() {
  const inspected: string[] = []
  const missing = new Set<string>()
  const listing = createListing(async (container) => {
    inspected.push(container)
    return missing.has(container) ? null : ({ id: `dyno of ${container}` } as Placed)
  })
  const list = async (...lines: Line[]) => {
    inspected.length = 0
    const placed = await listing(lines)
    return { placed: placed.map(({ id }) => id).sort(), inspected: inspected.toSorted() }
  }
  return { list, missing }
}

const line = (Id: string, State: string, IPAddress: string): Line => ({
  ...{ Id, State },
  NetworkSettings: { Networks: { own: { IPAddress } } },
})
const [a, b] = [line('a', 'running', '10.0.0.2'), line('b', 'running', '10.0.1.2')]

test('a container is inspected when it is listed for the first time, and not again', async () => {
  const { list } = open()
  assert.equal(await list(a, b), { placed: ['dyno of a', 'dyno of b'], inspected: ['a', 'b'] })
  assert.equal((await list(a, b)).inspected, [])
  const c = line('c', 'running', '10.0.2.2')
  assert.equal(await list(a, b, c), { placed: ['dyno of a', 'dyno of b', 'dyno of c'], inspected: ['c'] })
})

test('one that has ended, or has another address, is inspected once more', async () => {
  const { list } = open()
  await list(a, b)
  const now = [line('a', 'exited', ''), line('b', 'running', '10.0.1.3')]
  assert.equal((await list(...now)).inspected, ['a', 'b'])
  assert.equal((await list(...now)).inspected, [])
})

test('one that is gone before it is inspected is not listed, and is looked at when it is listed again', async () => {
  const { list, missing } = open()
  missing.add('a')
  assert.equal((await list(a, b)).placed, ['dyno of b'])
  missing.clear()
  assert.equal(await list(a, b), { placed: ['dyno of a', 'dyno of b'], inspected: ['a'] })
})

test('nothing is kept of one that is no longer listed', async () => {
  const { list } = open()
  await list(a, b)
  await list(b)
  assert.equal((await list(a, b)).inspected, ['a'])
})

test.run()
