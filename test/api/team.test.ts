import { once } from 'node:events'
import { request } from 'node:http'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { names, startTeam } from './team-rig.ts'

const { host, ann, bob, person, ask, good, refused, activities } = await startTeam()
test.after(() => host.close())

const teamApp = (name: string, by?: { token: string }, rest: object = {}) =>
  good('POST', '/teams/apps', { name, team: 'sluice', ...rest }, by)

test('there is one team; everybody is in it, and the team itself is nobody', async () => {
  const [team, ...others] = await good('GET', '/teams', undefined, ann)
  assert.equal([team.name, team.type, team.role, others.length], ['sluice', 'team', 'member', 0])
  assert.is((await good('GET', '/teams/sluice')).role, 'admin')
  assert.is((await good('GET', `/teams/${team.id}`)).name, 'sluice')
  await refused(ask('GET', '/teams/other'), 404, /Couldn't find that team/)
  const members = await good('GET', '/teams/sluice/members', undefined, ann)
  assert.equal(
    members.map(({ email, role }: { email: string; role: string }) => `${email} ${role}`),
    ['admin@example.com admin', 'ann@example.com member', 'bob@example.com member'],
  )
  await refused(ask('GET', `/users/${team.id}`), 404, /Couldn't find that user/)
  await refused(ask('GET', '/users/sluice@herokumanager.com'), 404, /Couldn't find that user/)
  await refused(ask('DELETE', `/teams/sluice/members/${team.id}`), 404, /Couldn't find that team member/)
  await refused(ask('PUT', '/teams/sluice/invitations', { email: 'x@herokumanager.com', role: 'member' }), 422, /team/)
})

test('the team cannot be made again or removed; an admin renames it, with the address of its apps', async () => {
  await refused(ask('POST', '/teams', { name: 'second' }), 422, /one team on this host, sluice/)
  await refused(ask('DELETE', '/teams/sluice'), 422, /stays/)
  await refused(ask('PATCH', '/teams/sluice', { name: 'acme' }, ann), 403, /Only an administrator/)
  await refused(ask('PATCH', '/teams/sluice', { name: 'No Name' }), 422, /Name must/)
  await refused(ask('PATCH', '/teams/sluice', { name: 'apps' }), 422, /cannot be the name/)
  await refused(ask('PATCH', '/teams/sluice', { default: true }), 422, /no default team/)
  await teamApp('named')
  assert.is((await good('PATCH', '/teams/sluice', { name: 'acme' })).name, 'acme')
  const app = await good('GET', '/apps/named')
  assert.equal([app.owner.email, app.team.name, app.organization.name], ['acme@herokumanager.com', 'acme', 'acme'])
  await good('PATCH', '/teams/acme', { name: 'sluice' })
  assert.is((await activities(/Renamed the team sluice to acme/)).length, 1)
})

test('a new address is invited: pending, with the link in a header, until it is revoked', async () => {
  await refused(ask('PUT', '/teams/sluice/invitations', { email: 'new@example.com', role: 'member' }, ann), 403, /dmin/)
  await refused(ask('PUT', '/teams/sluice/invitations', { email: 'ann@example.com', role: 'admin' }), 422, /already/)
  await refused(ask('PUT', '/teams/sluice/invitations', { email: 'no', role: 'member' }), 422, /not an email address/)
  await refused(ask('PUT', '/teams/sluice/invitations', { email: 'e@e.com', role: 'owner' }), 422, /`role`/)
  const answer = await ask('PUT', '/teams/sluice/invitations', { email: 'joe@example.com', role: 'member' })
  assert.is(answer.status, 201, answer.text)
  const link = /http:\S+/.exec(answer.headers.get('x-heroku-warning') ?? '')?.[0] ?? ''
  assert.ok(link.startsWith(`${host.url}/invitations/`))
  assert.not.match(answer.text, link.split('/').pop() ?? '?')
  const token = link.split('/').pop()
  const invitation = await good('GET', `/teams/invitations/${token}`)
  assert.equal([invitation.user.email, invitation.role, invitation.team.name], ['joe@example.com', 'member', 'sluice'])
  assert.is(invitation.invited_by.email, 'admin@example.com')
  await refused(ask('POST', `/teams/invitations/${token}/accept`), 422, /in a browser/)
  assert.is((await good('GET', '/teams/sluice/invitations', undefined, ann)).length, 1)
  await refused(ask('DELETE', '/teams/sluice/invitations/joe@example.com', undefined, ann), 403, /dmin/)
  await good('DELETE', '/teams/sluice/invitations/joe@example.com')
  assert.equal(await good('GET', '/teams/sluice/invitations'), [])
  await refused(ask('GET', `/teams/invitations/${token}`), 404, /invitation/)
})

test('members are added by PUT and POST, too: invited when new, changed by PUT when known', async () => {
  const made = await ask('PUT', '/teams/sluice/members', { email: 'put@example.com', role: 'admin' })
  assert.equal([made.status, made.json.email, made.json.role], [202, 'put@example.com', 'admin'])
  assert.match(made.headers.get('x-heroku-warning') ?? '', '/invitations/')
  await good('POST', '/teams/sluice/members', { email: 'post@example.com', role: 'member' })
  assert.is((await good('GET', '/teams/sluice/invitations')).length, 2)
  assert.is((await good('GET', '/teams/sluice/members')).length, 3)
  for (const email of ['put@example.com', 'post@example.com'])
    await good('DELETE', `/teams/sluice/invitations/${email}`)
  await refused(ask('PATCH', '/teams/sluice/members', { email: 'put@example.com', role: 'admin' }), 404, /team member/)
  await refused(ask('POST', '/teams/sluice/members', { email: 'ann@example.com', role: 'admin' }), 422, /already/)
  assert.is((await good('PUT', '/teams/sluice/members', { email: 'Ann@example.com', role: 'admin' })).role, 'admin')
  assert.is((await good('GET', '/teams/sluice', undefined, ann)).role, 'admin')
  await good('PATCH', '/teams/sluice/members', { email: 'ann@example.com', role: 'member' }, ann)
  await refused(
    ask('PATCH', '/teams/sluice/members', { email: 'ann@example.com', role: 'admin' }, ann),
    403,
    /Only an administrator/,
  )
})

test('the last admin stays, whatever happens at the same time', async () => {
  await refused(
    ask('PATCH', '/teams/sluice/members', { email: 'admin@example.com', role: 'member' }),
    422,
    /last admin/,
  )
  await refused(ask('DELETE', '/teams/sluice/members/admin@example.com'), 422, /last admin|owns/)
  await good('PATCH', '/teams/sluice/members', { email: 'ann@example.com', role: 'admin' })
  const steps = await Promise.all([
    ask('PATCH', '/teams/sluice/members', { email: 'admin@example.com', role: 'member' }),
    ask('PATCH', '/teams/sluice/members', { email: 'ann@example.com', role: 'member' }),
  ])
  const admins = (await good('GET', '/teams/sluice/members')).filter(({ role }: { role: string }) => role === 'admin')
  assert.is(admins.length, 1)
  // whoever has lost the role in between may not take it from others
  const [refusedWith] = steps.map(({ status }) => status).filter((status) => status !== 200)
  assert.is(refusedWith, admins[0].email === 'ann@example.com' ? 403 : 422)
  await good(
    'PATCH',
    '/teams/sluice/members',
    { email: 'admin@example.com', role: 'admin' },
    admins[0].email === 'ann@example.com' ? ann : undefined,
  )
  await good('PATCH', '/teams/sluice/members', { email: 'ann@example.com', role: 'member' })
})

/** A request whose last byte is kept back until `end`. */
async function held(method: string, path: string, json: object, { token }: { token: string }) {
  const text = JSON.stringify(json)
  const headers = {
    ...{ authorization: `Bearer ${token}`, accept: 'application/vnd.heroku+json; version=3' },
    ...{ 'content-type': 'application/json', 'content-length': text.length, expect: '100-continue' },
  }
  const sent = request(host.url + path, { method, headers })
  const answered = once(sent, 'response')
  sent.flushHeaders()
  await once(sent, 'continue')
  sent.write(text.slice(0, -1))
  // its first questions are asked before those of whoever comes now
  await good('GET', '/account')
  return {
    async end(): Promise<number> {
      sent.end(text.slice(-1))
      const [answer] = await answered
      answer.resume()
      return answer.statusCode
    },
  }
}

test('who loses a role or a permission gets nothing more by a request that was begun before', async () => {
  const eve = await person('stalls@example.com')
  const member = { email: 'stalls@example.com', role: 'member' }
  await teamApp('stalled')
  await good('POST', '/apps/stalled/collaborators', { user: 'bob@example.com', permissions: ['manage'] })
  await good('PATCH', '/teams/sluice/members', { ...member, role: 'admin' })
  const requests = [
    await held('PATCH', '/teams/sluice/members', { ...member, role: 'admin' }, eve),
    await held('PUT', '/teams/sluice/invitations', { email: 'friend@example.com', role: 'admin' }, eve),
    await held('POST', '/password-resets', { email: 'admin@example.com' }, eve),
    await held('PATCH', '/teams/apps/stalled/collaborators/bob@example.com', { permissions: ['manage'] }, bob),
    await held('PATCH', '/teams/apps/stalled', { owner: 'bob@example.com' }, bob),
  ]
  await good('PATCH', '/teams/sluice/members', member)
  await good('PATCH', '/teams/apps/stalled/collaborators/bob@example.com', { permissions: [] })
  const statuses = await Promise.all(requests.map((one) => one.end()))
  assert.equal(statuses, [403, 403, 403, 403, 403])
  await good('DELETE', `/teams/sluice/members/${member.email}`)
})

test('links that somebody has made as an admin end with the role', async () => {
  const eve = await person('links@example.com')
  await good('PATCH', '/teams/sluice/members', { email: 'links@example.com', role: 'admin' })
  await good('PUT', '/teams/sluice/invitations', { email: 'accomplice@example.com', role: 'admin' }, eve)
  await good('POST', '/password-resets', { email: 'ann@example.com' }, eve)
  await good('PATCH', '/teams/sluice/members', { email: 'links@example.com', role: 'member' })
  const left = await host.d.db.selectFrom('invitations').select('email').where('invited_by', '=', eve.id).execute()
  assert.equal(left, [])
  await good('DELETE', '/teams/sluice/members/links@example.com')
})

test('a member who owns no apps is removed, and with them tokens, collaborations and transfers at once', async () => {
  const eve = await person('eve@example.com')
  await good('POST', '/apps', { name: 'eves' }, eve)
  await good('POST', '/apps', { name: 'anns' }, ann)
  await good('POST', '/apps/anns/collaborators', { user: 'eve@example.com' }, ann)
  await good('POST', '/account/app-transfers', { app: 'anns', recipient: 'eve@example.com' }, ann)
  await refused(ask('DELETE', '/teams/sluice/members/eve@example.com', undefined, ann), 403, /Only an administrator/)
  await refused(ask('DELETE', '/teams/sluice/members/eve@example.com'), 422, /eve@example.com owns eves\./)
  await good('PATCH', '/teams/apps/eves', { owner: 'sluice' }, eve)
  const owner = { id: eve.id, type: 'user' }
  const line = await good('POST', '/pipelines', { name: 'eves-line', owner }, eve)
  await refused(ask('DELETE', '/teams/sluice/members/eve@example.com'), 422, /owns the pipelines eves-line\./)
  await good('DELETE', `/pipelines/${line.id}`, undefined, eve)
  assert.is((await good('DELETE', '/teams/sluice/members/eve@example.com')).email, 'eve@example.com')
  assert.is((await ask('GET', '/account', undefined, eve)).status, 401)
  assert.equal((await good('GET', '/apps/anns/collaborators')).length, 1)
  assert.equal(await good('GET', '/account/app-transfers', undefined, ann), [])
  assert.is((await good('GET', '/teams/sluice/members')).length, 3)
  assert.is((await good('GET', '/apps/eves')).owner.email, 'sluice@herokumanager.com')
  assert.is((await ask('PUT', '/teams/sluice/invitations', { email: 'eve@example.com', role: 'member' })).status, 201)
  await good('DELETE', '/teams/sluice/invitations/eve@example.com')
})

test('a team app is the team’s; who made it may everything, members see it, strangers to a locked one do not', async () => {
  const app = await teamApp('shared', ann)
  assert.equal(
    [app.team.name, app.owner.email, app.locked, app.joined],
    ['sluice', 'sluice@herokumanager.com', false, true],
  )
  assert.is((await good('GET', '/teams/apps/shared', undefined, bob)).joined, false)
  assert.ok(names(await good('GET', '/teams/sluice/apps', undefined, bob)).includes('shared'))
  assert.ok(names(await good('GET', '/apps', undefined, bob)).includes('shared'))
  assert.not.ok(names(await good('GET', '/users/~/apps', undefined, bob)).includes('shared'))
  assert.ok(names(await good('GET', '/users/~/apps', undefined, ann)).includes('shared'))
  assert.ok(names(await good('GET', '/teams/sluice/members/ann@example.com/apps', undefined, bob)).includes('shared'))
  await refused(ask('PATCH', '/teams/apps/shared', { locked: true }, bob), 403, /manage/)
  assert.is((await good('PATCH', '/teams/apps/shared', { locked: true }, ann)).locked, true)
  await refused(ask('GET', '/apps/shared', undefined, bob), 404, /Couldn't find that app/)
  await refused(ask('POST', '/teams/apps/shared/collaborators', { user: 'bob@example.com' }, bob), 404, /that app/)
  for (const path of ['/teams/sluice/apps', '/apps', '/teams/sluice/members/ann@example.com/apps'])
    assert.not.ok(names(await good('GET', path, undefined, bob)).includes('shared'), path)
  await good('PATCH', '/teams/apps/shared', { locked: false }, ann)
  await good('PATCH', '/apps/shared', { name: 'renamed' }, ann)
  await good('DELETE', '/apps/renamed', undefined, ann)
})

test('what there is not for team apps is refused: other teams, spaces, locks on personal apps', async () => {
  await refused(ask('POST', '/teams/apps', { name: 'a-space', space: 'nasa' }), 422, /no private spaces/)
  await refused(ask('POST', '/teams/apps', { name: 'a-route', internal_routing: true }), 422, /no private spaces/)
  await refused(ask('POST', '/teams/apps', { name: 'a-team', team: 'other' }), 404, /that team/)
  await refused(ask('POST', '/teams/apps', { name: 'a-region', region: 'eu' }), 422, /no region eu/)
  await refused(ask('POST', '/teams/apps', { personal: true, locked: true }), 422, /Only team apps/)
  assert.is((await good('POST', '/teams/apps', { name: 'mine', personal: true }, bob)).team, null)
  await refused(ask('PATCH', '/teams/apps/mine', { locked: true }, bob), 422, /not a team app/)
  await refused(
    ask('PATCH', '/teams/apps/mine/collaborators/bob@example.com', { permissions: [] }, bob),
    422,
    /team app/,
  )
  assert.is((await teamApp('closed', ann, { locked: true })).locked, true)
  await refused(ask('GET', '/teams/apps/closed', undefined, bob), 404, /that app/)
})

test('a member joins and leaves an open team app', async () => {
  await teamApp('open', ann)
  const joined = await good('POST', '/teams/apps/open/collaborators', { user: 'bob@example.com' }, bob)
  assert.equal(names(joined.permissions), ['view', 'deploy', 'operate'])
  assert.is(joined.role, 'member')
  assert.is((await good('GET', '/apps/open', undefined, bob)).joined, true)
  await good('PATCH', '/apps/open/config-vars', { A: 'b' }, bob)
  await refused(
    ask('POST', '/teams/apps/open/collaborators', { user: 'bob@example.com' }, bob),
    422,
    /already a collaborator/,
  )
  await good('DELETE', '/apps/open/collaborators/bob@example.com', undefined, bob)
  await refused(ask('PATCH', '/apps/open/config-vars', { A: 'c' }, bob), 403, /deploy or operate/)
  const gives = { user: 'bob@example.com', permissions: ['manage'] }
  await refused(ask('POST', '/teams/apps/open/collaborators', gives, bob), 403, /manage/)
  await refused(ask('POST', '/apps/open/collaborators', { user: 'admin@example.com' }, bob), 403, /manage/)
})

test('what a member was given is what they may; admins have all', async () => {
  await teamApp('granted', ann)
  const add = (permissions: string[]) => ({ user: 'bob@example.com', permissions })
  await refused(ask('POST', '/teams/apps/granted/collaborators', add(['fly']), ann), 422, /permissions/)
  const added = await good('POST', '/teams/apps/granted/collaborators', add(['operate', 'view']), ann)
  assert.equal(names(added.permissions), ['view', 'operate'])
  await refused(ask('POST', '/apps/granted/builds', {}, bob), 403, /deploy/)
  await good('PATCH', '/apps/granted', { maintenance: true }, bob)
  await refused(ask('PATCH', '/apps/granted', { name: 'taken-over' }, bob), 403, /manage/)
  await good('PATCH', '/teams/apps/granted/collaborators/bob@example.com', { permissions: ['manage'] }, ann)
  await refused(ask('PATCH', '/apps/granted', { maintenance: false }, bob), 403, /operate/)
  await good('PATCH', '/apps/granted', { name: 'granted-2' }, bob)
  await refused(
    ask('PATCH', '/teams/apps/granted-2/collaborators/sluice@herokumanager.com', { permissions: [] }, bob),
    422,
    /owns/,
  )
  await good('POST', '/teams/apps/granted-2/collaborators', { user: 'admin@example.com' })
  await refused(
    ask('PATCH', '/teams/apps/granted-2/collaborators/admin@example.com', { permissions: [] }, bob),
    422,
    /all perm/,
  )
  await refused(
    ask('DELETE', '/teams/apps/granted-2/collaborators/sluice@herokumanager.com', undefined, bob),
    422,
    /owns/,
  )
  assert.equal(names(await good('GET', '/teams/permissions', undefined, bob)), ['view', 'deploy', 'operate', 'manage'])
})

test('a collaborator of a personal app deploys and leaves, but neither shares, renames nor destroys it; a stranger finds nothing', async () => {
  await good('POST', '/apps', { name: 'personal' }, ann)
  await refused(ask('GET', '/apps/personal', undefined, bob), 404, /that app/)
  await refused(ask('POST', '/apps/personal/collaborators', { user: 'bob@example.com' }, bob), 404, /that app/)
  await refused(
    ask('POST', '/apps/personal/collaborators', { user: 'who@example.com' }, ann),
    422,
    /members:add who@example.com/,
  )
  await good('POST', '/apps/personal/collaborators', { user: { email: 'bob@example.com' }, silent: true }, ann)
  await refused(
    ask('POST', '/apps/personal/collaborators', { user: 'bob@example.com' }, ann),
    422,
    /User is already a collaborator/,
  )
  await good('PATCH', '/apps/personal/config-vars', { A: 'b' }, bob)
  await refused(ask('DELETE', '/apps/personal', undefined, bob), 403, /manage/)
  await refused(ask('PATCH', '/apps/personal', { name: 'bobs-now' }, bob), 403, /manage/)
  await refused(ask('POST', '/apps/personal/collaborators', { user: 'admin@example.com' }, bob), 403, /manage/)
  await refused(
    ask('POST', '/account/app-transfers', { app: 'personal', recipient: 'bob@example.com' }, bob),
    403,
    /manage/,
  )
  await refused(ask('DELETE', '/apps/personal/collaborators/ann@example.com', undefined, bob), 403, /manage/)
  await refused(
    ask('DELETE', '/apps/personal/collaborators/ann@example.com', undefined, ann),
    422,
    /Transfer the app first/,
  )
  await good('DELETE', '/apps/personal/collaborators/bob@example.com', undefined, bob)
  await refused(ask('GET', '/apps/personal', undefined, bob), 404, /that app/)
})

test('spaces and enterprise accounts: none', async () => {
  for (const path of [
    '/spaces',
    '/enterprise-accounts',
    '/teams/sluice/spaces',
    '/teams/sluice/addons',
    '/teams/sluice/invoices',
  ])
    assert.equal(await good('GET', path), [], path)
  await refused(ask('GET', '/spaces/nasa'), 404, /Couldn't find that space/)
  await refused(ask('GET', '/enterprise-accounts/acme'), 404, /enterprise account/)
  assert.is((await good('GET', '/teams/sluice/delinquency')).scheduled_suspension_time, null)
  assert.equal(names(await good('GET', '/teams/sluice/features')), ['org-access-controls', 'team-invite-acceptance'])
  assert.is((await good('GET', '/teams/sluice/features/team-invite-acceptance')).enabled, true)
  await refused(ask('GET', '/teams/sluice/features/nope'), 404, /team feature/)
})

test.run()
