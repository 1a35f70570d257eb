import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Rig, startRig } from './rig.ts'

const rig: Rig = await startRig()
const { heroku, refused, host } = rig
test.after(() => rig.close())

const id = (text: string): string => /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(text)?.[0] ?? ''
const status = async (token: string) => (await host.request('GET', '/account', { token })).status

test('heroku authorizations makes, lists, shows, changes, rotates and revokes', async () => {
  const made = await heroku('authorizations:create -d "for ci" -s read,identity -e 3600')
  assert.match(made, /Client: +<none>/)
  assert.match(made, /Scope: +identity,read/)
  assert.match(made, /Expires at: .*\(in about 1 hour\)/)
  const [, token = ''] = /Token: +(\S+)/.exec(made) ?? []
  assert.is(await status(token), 200)
  assert.match(await heroku('authorizations'), new RegExp(`for ci +${id(made)} +identity,read`))
  assert.match(await heroku(`authorizations:info ${id(made)}`), /Token: +SLUICE-..\*{10}/)
  assert.match(await heroku(`authorizations:update ${id(made)} --description "for our ci"`), /Description: +for our ci/)
  const [, rotated = ''] = /Token: +(\S+)/.exec(await heroku(`authorizations:rotate ${id(made)}`)) ?? []
  assert.equal([await status(token), await status(rotated)], [401, 200])
  assert.match(await heroku(`authorizations:revoke ${id(made)}`), 'done, revoked authorization from for our ci')
  assert.is(await status(rotated), 401)
  assert.match(await refused(`authorizations:info ${id(made)}`), "Couldn't find that authorization.")
  assert.match(await refused('authorizations:create -s everything'), 'There is no scope everything')
})

test('heroku clients makes, lists, shows, changes, rotates and destroys', async () => {
  assert.match(await heroku('clients'), 'No OAuth clients.')
  const made = await heroku('clients:create Amazing https://amazing.example.com/callback')
  const [, secret = ''] = /HEROKU_OAUTH_SECRET=(\S+)/.exec(made) ?? []
  assert.ok(secret.length > 30)
  assert.match(await heroku('clients'), new RegExp(`Amazing +${id(made)} +https://amazing`))
  const info = await heroku(`clients:info ${id(made)}`)
  assert.match(info, /=== Amazing/)
  assert.not.match(info, secret)
  assert.match(await heroku(`clients:update ${id(made)} -n Better`), `Updating ${id(made)}... done`)
  const rotated = await heroku(`clients:rotate ${id(made)} --shell`)
  assert.match(rotated, `HEROKU_OAUTH_ID=${id(made)}`)
  assert.not.match(rotated, secret)
  assert.match(await heroku(`clients:destroy ${id(made)}`), `Destroying ${id(made)}... done`)
  assert.match(await refused(`clients:info ${id(made)}`), "Couldn't find that client.")
})

test('heroku auth:token, auth:whoami and auth:2fa say what is true', async () => {
  assert.match(await heroku('auth:token'), host.token)
  assert.match(await heroku('auth:whoami'), /^admin@example\.com$/m)
  assert.match(await heroku('auth:2fa'), 'Two-factor authentication is not enabled')
})

test.run()
