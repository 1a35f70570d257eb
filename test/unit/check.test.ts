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

test('a check is a path, how long an answer may take, and what must be in it; its type is readiness', () => {
  assert.equal(web({ type: 'startup', name: 'up', path: '/healthz?full=1', timeout: 10, content: 'ok' }), {
    web: { startup: { path: '/healthz?full=1', timeout: 10_000, content: 'ok' } },
    warnings: [],
  })
  const standard = { timeout: 5000, interval: 10_000, attempts: 3 }
  assert.equal(web({}).web, { readiness: { path: '/', ...standard } })
  assert.equal(web({ type: 'liveness', path: '/live' }, { type: 'readiness' }).web, {
    readiness: { path: '/', ...standard },
    liveness: { path: '/live', ...standard },
  })
})

test('a check that goes on has its interval, by either name, and its attempts', () => {
  const watch = (more: object) => web(more).web?.readiness
  assert.equal(watch({ interval: 2, attempts: 5 }), { path: '/', timeout: 5000, interval: 2000, attempts: 5 })
  assert.is(watch({ wait: 1.5 })?.interval, 1500)
  assert.is(watch({ wait: 9, interval: 2 })?.interval, 2000)
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
    [{ web: [{ interval: 0 }] }, 'app.json: healthchecks.web[0].interval must be at least 1 second.'],
    [{ web: [{ wait: 301 }] }, 'app.json: healthchecks.web[0].wait must be at most 300 seconds.'],
    [{ web: [{ wait: '5' }] }, 'app.json: healthchecks.web[0].wait must be a number of seconds.'],
    [{ web: [{ attempts: 0 }] }, 'app.json: healthchecks.web[0].attempts must be at least 1.'],
    [{ web: [{ attempts: 21 }] }, 'app.json: healthchecks.web[0].attempts must be at most 20.'],
    [{ web: [{ attempts: 1.5 }] }, 'app.json: healthchecks.web[0].attempts must be a whole number.'],
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
      { type: 'liveness', path: '/live', initialDelay: 5 },
      { type: 'startup', uptime: 10 },
      { path: '/ready' },
      { type: 'startup', path: '/start', attempts: 3, wait: 5 },
      { type: 'readiness', path: '/other' },
    ],
  })
  assert.equal([chosen?.startup?.path, chosen?.readiness?.path, chosen?.liveness?.path], ['/start', '/ready', '/live'])
  assert.equal(warnings, [
    'app.json: healthchecks.worker is left out: only web dynos are checked.',
    'app.json: initialDelay of healthchecks.web[0] does not count: a dyno that starts is asked on its port until it passes or has had its time to boot.',
    'app.json: healthchecks.web[1] is left out: a dyno is checked by HTTP, not by uptime.',
    'app.json: wait, attempts of healthchecks.web[3] do not count: a dyno that starts is asked on its port until it passes or has had its time to boot.',
    'app.json: healthchecks.web[4] is left out: one readiness check of a dyno is made.',
  ])
})

test.run()
