import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseManifest } from '../../daemon/pipeline/manifest.ts'

const whole = {
  ...{
    name: 'Tool',
    description: 'Small',
    keywords: ['sharp'],
    website: 'https://example.com/',
    logo: 'x',
    image: 'y',
  },
  env: { A: 'one', B: { description: 'two', value: 'two' } },
  addons: ['redis', { plan: 'postgresql:mini', as: 'DB', options: { version: '9.5' } }],
  scripts: { postdeploy: 'seed', 'pr-predestroy': 'clean', test: 'make test', 'test-setup': 'make' },
  environments: {
    review: {
      env: { B: 'review', C: { generator: 'secret' } },
      addons: [],
      scripts: { postdeploy: 'seed less', 'pr-predestroy': 'clean' },
    },
    test: { formation: { test: { quantity: 1 } } },
  },
  healthchecks: { web: [{ path: '/healthz' }] },
  unknown: 1,
}

test('everything that the schema names is taken, and what is not done is said', () => {
  const { env, postdeploy, warnings } = parseManifest(`\uFEFF${JSON.stringify(whole)}`, null)
  assert.equal(Object.keys(env), ['A', 'B'])
  assert.is(postdeploy, 'seed')
  assert.is(warnings.length, 2)
  assert.match(warnings[1] ?? '', 'The add-on postgresql:mini of app.json is not available here')
})

test('what it says of review apps comes on top', () => {
  const { env, postdeploy, warnings } = parseManifest(JSON.stringify(whole), 'review')
  assert.equal(
    Object.entries(env).map(([name, { value, generator }]) => [name, value ?? generator]),
    [
      ['A', 'one'],
      ['B', 'review'],
      ['C', 'secret'],
    ],
  )
  assert.is(postdeploy, 'seed less')
  assert.equal(warnings, ['The script pr-predestroy of app.json is not run here: clean up before you destroy the app.'])
})

test.run()
