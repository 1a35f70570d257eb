import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Ingredients, keyOf } from '../../daemon/build/slug/key.ts'
import { createSeal } from '../../daemon/store/seal.ts'

const seal = createSeal(Buffer.alloc(32, 1))
const buildpack = { url: 'heroku/nodejs', name: 'heroku/nodejs', revision: 'r1', place: async () => {} }
const made: Ingredients = {
  source: 'tree',
  stack: 'image',
  selection: { mode: 'detect', buildpacks: [buildpack] },
  config: { A: '1', B: '2' },
}
const key = (changed: Partial<Ingredients> = {}, by = seal) => keyOf({ seal: by }, { ...made, ...changed })

test('what a build is made from is the same in whatever order it is told', async () => {
  assert.is(await key({ config: { B: '2', A: '1' } }), await key())
})

test('any change of what a build is made from changes its key', async () => {
  const others: Partial<Ingredients>[] = [
    { source: 'another tree' },
    { stack: 'another image' },
    { config: { A: '1', B: '3' } },
    { config: { A: '1' } },
    { selection: { mode: 'chosen', buildpacks: [buildpack] } },
    { selection: { mode: 'detect', buildpacks: [{ ...buildpack, revision: 'r2' }] } },
    { selection: { mode: 'detect', buildpacks: [buildpack, buildpack] } },
  ]
  const keys = new Set([await key()])
  for (const other of others) keys.add(await key(other))
  assert.is(keys.size, others.length + 1)
})

test('who has no key of the platform cannot try config vars against it', async () => {
  assert.is.not(await key(), await key({}, createSeal(Buffer.alloc(32, 2))))
})

test.run()
