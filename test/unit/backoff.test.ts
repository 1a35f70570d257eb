import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { backoff, crashesAfter } from '../../daemon/run/backoff.ts'
import { environment, subnetOf } from '../../daemon/run/environment.ts'

test('the first crash is restarted at once, later ones wait ever longer, up to twenty minutes', () => {
  assert.equal([1, 2, 3, 4, 5].map(backoff), [0, 10_000, 20_000, 40_000, 80_000])
  assert.is(backoff(50), 20 * 60_000)
})

test('a dyno that was up for ten minutes starts to count anew', () => {
  assert.is(crashesAfter(4, 0), 5)
  assert.is(crashesAfter(4, 10 * 60_000), 1)
})

test('config vars come byte-exact into the environment, and cannot take PORT or DYNO', () => {
  const value = 'multi\nline "q" \'s\' $HOME \\ ` 世界'
  const env = environment({ name: 'web.1', port: 5000 }, 'slug', { A: value, PORT: '1', DYNO: 'x', EMPTY: '' })
  assert.ok(env.includes(`A=${value}`))
  assert.ok(env.includes('EMPTY='))
  assert.equal(
    env.filter((entry) => /^(PORT|DYNO)=/.test(entry)),
    ['PORT=5000', 'DYNO=web.1'],
  )
  assert.not(environment({ name: 'run.1', port: undefined }, 'slug', {}).some((entry) => entry.startsWith('PORT=')))
})

test('every app has a network of its own in the pool', () => {
  assert.is(subnetOf('10.213.0.0/16', 0), '10.213.0.0/26')
  assert.is(subnetOf('10.213.0.0/16', 5), '10.213.1.64/26')
  assert.is(subnetOf('10.213.0.0/16', 1023), '10.213.255.192/26')
})

test.run()
