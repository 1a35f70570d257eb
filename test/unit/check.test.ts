import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseChecks } from '../../daemon/build/check.ts'

const read = (healthchecks: unknown) => parseChecks(JSON.stringify({ name: 'app', healthchecks }))
const web = (...checks: unknown[]) => read({ web: checks })
const refusal = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    return (error as Error).message
  }
  return 'it was taken'
}

test('a check is a path, how long an answer may take, and what must be in it', () => {
  assert.equal(web({ type: 'startup', name: 'up', path: '/healthz?full=1', timeout: 10, content: 'ok' }), {
    web: { path: '/healthz?full=1', timeout: 10_000, content: 'ok' },
    warnings: [],
  })
  assert.equal(web({}).web, { path: '/', timeout: 5000 })
})

test('an app.json without checks, or that is none, changes nothing', () => {
  assert.equal(parseChecks('{}'), { web: undefined, warnings: [] })
  assert.equal(parseChecks('\uFEFF{"env": {"A": "b"}}'), { web: undefined, warnings: [] })
  assert.equal(parseChecks('[]'), { web: undefined, warnings: [] })
  assert.equal(web(), { web: undefined, warnings: [] })
  const { web: none, warnings } = parseChecks('{,}')
  assert.is(none, undefined)
  assert.equal(warnings, ['app.json is not valid JSON, so no health check of it counts.'])
})

test('what is no check is refused, each fault with its place', () => {
  const faults: [unknown, string][] = [
    ['web', 'app.json: healthchecks must be an object of process types.'],
    [{ web: { path: '/' } }, 'app.json: healthchecks.web must be a list of checks.'],
    [{ web: ['/'] }, 'app.json: healthchecks.web[0] must be an object.'],
    [{ web: [{ pth: '/' }] }, 'app.json: healthchecks.web[0] has pth, which is no part of a check.'],
    [
      { web: [{}, { path: 'healthz' }] },
      'app.json: healthchecks.web[1].path must begin with "/" and have neither spaces',
    ],
    [{ web: [{ path: '/a b' }] }, 'app.json: healthchecks.web[0].path must begin with'],
    [{ web: [{ path: '/a\r\nX: y' }] }, 'app.json: healthchecks.web[0].path must begin with'],
    [
      { web: [{ path: `/${'x'.repeat(1024)}` }] },
      'app.json: healthchecks.web[0].path must have at most 1024 characters.',
    ],
    [{ web: [{ path: 1 }] }, 'app.json: healthchecks.web[0].path must be a text.'],
    [{ web: [{ timeout: '5' }] }, 'app.json: healthchecks.web[0].timeout must be a number of seconds.'],
    [{ web: [{ timeout: 0 }] }, 'app.json: healthchecks.web[0].timeout must be at least 1 second.'],
    [{ web: [{ timeout: 61 }] }, 'app.json: healthchecks.web[0].timeout must be at most 60 seconds.'],
    [{ web: [{ content: '' }] }, 'app.json: healthchecks.web[0].content must not be empty.'],
    [{ web: [{ type: 'live' }] }, 'app.json: healthchecks.web[0].type must be startup, readiness or liveness.'],
  ]
  for (const [checks, why] of faults)
    assert.match(
      refusal(() => read(checks)),
      why,
    )
  assert.match(
    refusal(() => web({ path: 1, timeout: 0 })),
    'app.json: healthchecks.web[0].path must be a text.\napp.json: healthchecks.web[0].timeout must be at least 1 second.',
  )
})

test('what is not done here is said, and the rest counts', () => {
  const { web: chosen, warnings } = read({
    worker: [{ command: ['true'] }],
    web: [
      { type: 'liveness', path: '/live' },
      { type: 'startup', uptime: 10 },
      { type: 'readiness', path: '/ready', attempts: 3, wait: 5 },
      { type: 'startup', path: '/start' },
    ],
  })
  assert.equal(chosen, { path: '/ready', timeout: 5000 })
  assert.equal(warnings, [
    'app.json: healthchecks.worker is left out: only web dynos are checked.',
    'app.json: healthchecks.web[0] is left out: a dyno is checked before it gets requests, not afterwards.',
    'app.json: healthchecks.web[1] is left out: a dyno is checked by HTTP, not by uptime.',
    'app.json: attempts, wait of healthchecks.web[2] do not count: a dyno is asked on its port until it passes, for 60 seconds at most.',
    'app.json: healthchecks.web[3] is left out: one check of a dyno is made.',
  ])
})

test.run()
