import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { applyChanges, describe } from '../../daemon/release/config.ts'

test('a change sets, unsets and leaves alone', () => {
  const { config, set, unset } = applyChanges({ A: '1', B: '2', C: '3' }, { A: '1', B: null, D: '' })
  assert.equal(config, { A: '1', C: '3', D: '' })
  assert.equal(set, ['D'])
  assert.equal(unset, ['B'])
})

test('unsetting what is not set changes nothing', () => {
  assert.equal(applyChanges({ A: '1' }, { B: null }), { config: { A: '1' }, set: [], unset: [] })
})

test('names that objects inherit are no config vars', () => {
  assert.equal(applyChanges({}, { constructor: null, toString: 'x' }), {
    config: { toString: 'x' },
    set: ['toString'],
    unset: [],
  })
})

test("descriptions are Heroku's", () => {
  assert.is(describe(['A', 'B'], []), 'Set A, B config vars')
  assert.is(describe([], ['A']), 'Remove A config vars')
  assert.is(describe(['A'], ['B']), 'Set A and Remove B config vars')
})

test.run()
