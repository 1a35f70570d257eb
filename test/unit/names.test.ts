import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readConfig } from '../../daemon/config.ts'
import { appUrl, hostsOf, parseNames } from '../../daemon/names.ts'
import { platformRoute } from '../../daemon/route/platform.ts'

test('git and images are at the API’s name when they have none of their own', () => {
  const names = parseNames({ SLUICE_API_HOST: 'API.Example.com' })
  assert.equal(names, { api: 'api.example.com', git: 'api.example.com', registry: 'api.example.com' })
  assert.equal(hostsOf(names), ['api.example.com'])
  const three = parseNames({
    SLUICE_API_HOST: 'a.example',
    SLUICE_GIT_HOST: 'g.example',
    SLUICE_REGISTRY_HOST: 'r.example',
  })
  assert.equal(hostsOf(three), ['a.example', 'g.example', 'r.example'])
  assert.equal(hostsOf(parseNames({})), [])
})

test('what is no host name is refused, with the setting’s own', () => {
  for (const name of [
    'https://api.example.com',
    'api.example.com:443',
    'localhost',
    '*.example.com',
    '10.0.0.1',
    'a..b',
    '-a.b',
  ])
    assert.throws(() => parseNames({ SLUICE_API_HOST: name }), /SLUICE_API_HOST is .*must be a host name/)
  assert.throws(() => parseNames({ SLUICE_GIT_HOST: 'git.example.com' }), /set SLUICE_API_HOST too/)
})

test('with a name heroku run connects over https, which routers pass on, unless it is told otherwise', () => {
  assert.is(readConfig({}).attach, 'rendezvous')
  assert.is(readConfig({ SLUICE_API_HOST: 'api.example.com' }).attach, 'https')
  assert.is(readConfig({ SLUICE_API_HOST: 'api.example.com', SLUICE_ATTACH: 'rendezvous' }).attach, 'rendezvous')
})

test('an app is at https where its own host gets a certificate, and ports are said where they are not the usual ones', () => {
  const url = (settings: Record<string, string>) =>
    appUrl(readConfig({ SLUICE_DOMAIN: 'example.com', ...settings }), 'shop')
  assert.is(url({}), 'http://shop.example.com:8080/')
  assert.is(url({ SLUICE_HTTP_PORT: '80' }), 'http://shop.example.com/')
  const acme = { SLUICE_ACME_DIRECTORY: 'letsencrypt' }
  assert.is(url(acme), 'https://shop.example.com:8443/')
  assert.is(url({ ...acme, SLUICE_TLS_PORT: '443' }), 'https://shop.example.com/')
  assert.is(url({ ...acme, SLUICE_ACME_HOSTS: 'off' }), 'http://shop.example.com:8080/')
})

test('routers reach the daemon where it listens', () => {
  const names = parseNames({ SLUICE_API_HOST: 'api.example.com' })
  const address = (host: string) =>
    platformRoute({ names, api: { hosts: [host], port: 1 } }, '')[0]?.backends[0]?.address
  assert.equal(['127.0.0.1', '0.0.0.0', '::', '10.1.2.3'].map(address), ['127.0.0.1', '127.0.0.1', '::1', '10.1.2.3'])
  assert.equal(platformRoute({ names: undefined, api: { hosts: [], port: 1 } }, ''), [])
})

test.run()
