import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { faultOf, settingsOf, settingVars } from '../../daemon/route/setting.ts'

test('config vars that routers follow are read, in the units of the table; all others are none of their business', () => {
  const { settings, faults } = settingsOf({
    ERROR_PAGE_URL: 'https://example.com/error.html',
    MAINTENANCE_PAGE_URL: '//example.com/maintenance',
    SLUICE_HOLD_SECONDS: '5',
    SLUICE_DRAIN_SECONDS: '600',
    SLUICE_HSTS_SECONDS: '31536000',
    SECRET: 'x',
  })
  assert.equal(settings.route, {
    errorPage: 'https://example.com/error.html',
    maintenancePage: '//example.com/maintenance',
    hold: 5000,
    grace: 600_000,
    hsts: 31_536_000,
  })
  assert.equal(faults, [])
})

test('what is not set, or empty, sets nothing', () => {
  const empty = Object.fromEntries([...settingVars.keys()].map((name) => [name, '']))
  for (const config of [{}, empty]) assert.equal(settingsOf(config), { settings: {}, faults: [] })
})

test('a page is a web address; what is in it is told in ASCII', () => {
  const page = (ERROR_PAGE_URL: string) => settingsOf({ ERROR_PAGE_URL }).settings.route?.errorPage
  assert.is(page('HTTP://Example.com'), 'http://example.com/')
  assert.is(page('https://bücher.example/ä?ö'), 'https://xn--bcher-kva.example/%C3%A4?%C3%B6')
  assert.is(page('//example.com/"<x>'), '//example.com/%22%3Cx%3E')
  for (const odd of [
    'error.html',
    '/error.html',
    'ftp://example.com',
    'javascript:alert(1)',
    'https://',
    'https://user:pass@example.com',
    `https://example.com/${'a'.repeat(2000)}`,
  ])
    assert.is(page(odd), undefined, odd)
})

test('a number of seconds is a whole one within its bounds', () => {
  const hold = (SLUICE_HOLD_SECONDS: string) => settingsOf({ SLUICE_HOLD_SECONDS }).settings.route?.hold
  assert.is(hold('0'), 0)
  assert.is(hold('300'), 300_000)
  for (const odd of ['301', '-1', '1.5', '1e2', '5s', ' 5', '0x1', '9999999999']) assert.is(hold(odd), undefined, odd)
})

test('a path makes a readiness check with the figures of one in app.json', () => {
  const health = (SLUICE_HEALTH_PATH: string) => settingsOf({ SLUICE_HEALTH_PATH }).settings.checks
  assert.equal(health('/healthz?a=1'), {
    readiness: { path: '/healthz?a=1', timeout: 5000, interval: 10_000, attempts: 3 },
  })
  for (const odd of ['healthz', '/a b', '/a\r\nX: y', `/${'x'.repeat(1024)}`]) assert.is(health(odd), undefined, odd)
})

test('a value that is not allowed is told with what would be, and without itself', () => {
  assert.is(
    faultOf('SLUICE_DRAIN_SECONDS', 'soon'),
    'SLUICE_DRAIN_SECONDS must be a whole number of seconds from 0 to 600.',
  )
  assert.equal(
    settingsOf({ ERROR_PAGE_URL: 'https://me:secret@x', SLUICE_HOLD_SECONDS: 'x', SLUICE_HSTS_SECONDS: '1' }),
    {
      settings: { route: { hsts: 1 } },
      faults: [
        'ERROR_PAGE_URL must be a web address that begins with https://, http:// or //, without a password, of at most 2000 characters.',
        'SLUICE_HOLD_SECONDS must be a whole number of seconds from 0 to 300.',
      ],
    },
  )
  assert.is(faultOf('OTHER', 'soon'), undefined)
})

test.run()
