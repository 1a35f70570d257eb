import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { allows, parseScopes, type Reach, type Scope } from '../../daemon/account/scope.ts'
import { reachOf } from '../../daemon/api/scope.ts'

test('what requests do', () => {
  const cases: [string, string, Reach][] = [
    ['GET', '/account', 'identity'],
    ['GET', '/users/:account', 'identity'],
    ['PATCH', '/account', 'account'],
    ['GET', '/account/keys', 'account'],
    ['POST', '/account/keys', 'account'],
    ['POST', '/oauth/authorizations', 'account'],
    ['GET', '/oauth/authorizations', 'account'],
    ['GET', '/oauth/clients', 'account'],
    ['POST', '/password-resets', 'account'],
    ['GET', '/activities', 'account'],
    ['GET', '/sluice/routers', 'account'],
    ['DELETE', '/sluice/routers/:router', 'account'],
    ['GET', '/sluice/disk', 'account'],
    ['GET', '/sluice/doctor', 'account'],
    ['GET', '/metrics', 'account'],
    ['POST', '/sluice/disk/collect', 'account'],
    ['POST', '/account/app-transfers', 'account'],
    ['POST', '/pipeline-transfers', 'account'],
    ['PUT', '/teams/:team/members', 'account'],
    ['DELETE', '/teams/:team/members/:member', 'account'],
    ['DELETE', '/teams/:team/invitations/:invitation', 'account'],
    ['PUT', '/teams/:team/invitations', 'account'],
    ['GET', '/teams/:team/invitations', 'account'],
    ['GET', '/teams/:team/members', 'read'],
    ['GET', '/teams', 'read'],
    ['GET', '/apps', 'read'],
    ['HEAD', '/apps/:app', 'read'],
    ['GET', '/users/:account/apps', 'read'],
    ['GET', '/apps/:app/activities', 'read'],
    ['POST', '/apps/:app/log-sessions', 'read'],
    ['POST', '/actions/addons/resolve', 'read'],
    ['POST', '/filters/apps', 'read'],
    ['GET', '/apps/:app/dynos', 'read'],
    ['DELETE', '/apps/:app/dynos', 'write'],
    ['POST', '/apps', 'write'],
    ['POST', '/teams/apps', 'write'],
    ['PATCH', '/apps/:app/formation', 'write'],
    ['GET', '/apps/:app/config-vars', 'read-protected'],
    ['GET', '/apps/:app/releases/:release/config-vars', 'read-protected'],
    ['GET', '/pipelines/:pipeline/stage/:stage/config-vars', 'read-protected'],
    ['GET', '/addons/:addon/config', 'read-protected'],
    ['PATCH', '/apps/:app/config-vars', 'write-protected'],
    ['POST', '/apps/:app/dynos', 'write-protected'],
    ['POST', '/apps/:app/dynos/:dyno', 'write-protected'],
    ['PUT', '/api/v2/:dyno', 'write-protected'],
    ['POST', '/apps/:app/dynos/:dyno/actions/stop', 'write'],
  ]
  for (const [method, route, reach] of cases) assert.is(reachOf(method, route), reach, `${method} ${route}`)
})

test('what each scope is for', () => {
  const reaches: Reach[] = ['identity', 'account', 'read', 'read-protected', 'write', 'write-protected']
  const can = (scope: Scope) => reaches.filter((reach) => allows([scope], reach))
  assert.equal(can('global'), reaches)
  assert.equal(can('identity'), ['identity'])
  assert.equal(can('read'), ['read'])
  assert.equal(can('write'), ['read', 'write'])
  assert.equal(can('read-protected'), ['read', 'read-protected'])
  assert.equal(can('write-protected'), ['read', 'read-protected', 'write', 'write-protected'])
  assert.equal(
    reaches.filter((reach) => allows([], reach)),
    [],
  )
})

test('scopes are told once each; none is global; others are refused', () => {
  assert.equal(parseScopes(['read', 'identity', 'read']), ['identity', 'read'])
  assert.equal(parseScopes([]), ['global'])
  assert.throws(() => parseScopes(['read', 'everything']), /There is no scope everything/)
})

test.run()
