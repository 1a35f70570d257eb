import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createStrays, type Shelf } from '../../daemon/disk/stray.ts'
import { createStillClock } from './still-clock.ts'

function shelfOf(kind: string) {
  const there = new Set<string>()
  const owned = new Set<string>()
  const shelf: Shelf = {
    kind,
    list: async () => there,
    known: async () => owned,
    remove: async (name) => void there.delete(name),
  }
  return { there, owned, shelf }
}

/** Each look is an hour after the one before, or `later` ms. */
function looking(shelves: Shelf[], failed: (kind: string) => void = () => assert.unreachable()) {
  const clock = createStillClock()
  const strays = createStrays(shelves, clock, failed)
  return {
    look(later = HOUR) {
      clock.pass(later)
      return strays.look()
    },
  }
}

const HOUR = 3600 * 1000

test('what nobody owns goes at the second look, so that what is being made has time to be known', async () => {
  const { there, owned, shelf } = shelfOf('logs')
  const strays = looking([shelf])
  for (const name of ['owned', 'stray', 'made']) there.add(name)
  owned.add('owned')
  assert.equal(await strays.look(), [])
  owned.add('made')
  there.add('fresh')
  assert.equal(await strays.look(), ['logs stray'])
  assert.equal([...there], ['owned', 'made', 'fresh'])
})

test('who looks twice in a row takes nothing that is being made', async () => {
  const { there, shelf } = shelfOf('slugs')
  const strays = looking([shelf])
  there.add('made')
  assert.equal(await strays.look(), [])
  for (let minute = 0; minute < 50; minute += 10) assert.equal(await strays.look(HOUR / 6), [])
  assert.equal(await strays.look(HOUR / 6), ['slugs made'])
})

test('what was known in between counts as new', async () => {
  const { there, owned, shelf } = shelfOf('logs')
  const strays = looking([shelf])
  there.add('a')
  await strays.look()
  owned.add('a')
  await strays.look()
  owned.delete('a')
  assert.equal(await strays.look(), [])
  assert.equal(await strays.look(), ['logs a'])
})

test('things of one name and different kinds are not mixed up', async () => {
  const [one, other] = [shelfOf('cache'), shelfOf('logs')]
  const strays = looking([one.shelf, other.shelf])
  one.there.add('x')
  await strays.look()
  other.there.add('x')
  assert.equal(await strays.look(), ['cache x'])
})

test('a look that fails is told, keeps what it knew, and leaves the others alone', async () => {
  const [broken, well] = [shelfOf('cache'), shelfOf('logs')]
  const failed: string[] = []
  const { list } = broken.shelf
  const strays = looking([broken.shelf, well.shelf], (kind) => failed.push(kind))
  broken.there.add('x')
  well.there.add('y')
  await strays.look()
  broken.shelf.list = () => Promise.reject(new Error('the engine does not answer'))
  assert.equal(await strays.look(), ['logs y'])
  assert.equal(failed, ['cache'])
  broken.shelf.list = list
  assert.equal(await strays.look(), ['cache x'])
})

test.run()
