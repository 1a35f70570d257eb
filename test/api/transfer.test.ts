import { CompiledQuery } from 'kysely'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startTeam } from './team-rig.ts'

const { host, ann, bob, person, ask, good, refused, activities } = await startTeam()
test.after(() => host.close())

test('an app is offered, and changes hands when the recipient accepts; who had it stays a collaborator', async () => {
  await good('POST', '/apps', { name: 'offered' }, ann)
  await refused(
    ask('POST', '/account/app-transfers', { app: 'offered', recipient: 'who@example.com' }, ann),
    422,
    /no account or team who/,
  )
  await refused(
    ask('POST', '/account/app-transfers', { app: 'offered', recipient: 'ann@example.com' }, ann),
    422,
    /owns offered already/,
  )
  const offer = await ask('POST', '/account/app-transfers', { app: 'offered', recipient: 'bob@example.com' }, ann)
  assert.equal([offer.status, offer.json.state, offer.json.owner.email], [201, 'pending', 'ann@example.com'])
  assert.match(offer.headers.get('x-heroku-warning') ?? '', `/account/app-transfers/${offer.json.id}`)
  const path = `/account/app-transfers/${offer.json.id}`
  await refused(
    ask('POST', '/account/app-transfers', { app: 'offered', recipient: 'admin@example.com' }, ann),
    422,
    /offered to bob/,
  )
  await refused(ask('PATCH', path, { state: 'accepted' }, ann), 403, /Only bob@example.com/)
  await refused(ask('PATCH', path, { state: 'pending' }, bob), 422, /state/)
  await refused(ask('DELETE', path, undefined, bob), 403, /Only ann@example.com/)
  await refused(ask('GET', '/apps/offered', undefined, bob), 404, /that app/)
  assert.is((await good('GET', '/account/app-transfers/offered', undefined, bob)).id, offer.json.id)
  assert.is((await good('PATCH', path, { state: 'accepted' }, bob)).state, 'accepted')
  await refused(ask('PATCH', path, { state: 'declined' }, bob), 422, /accepted already/)
  await refused(ask('DELETE', path, undefined, ann), 422, /accepted already/)
  assert.is((await good('GET', '/apps/offered', undefined, ann)).owner.email, 'bob@example.com')
  const roles = (await good('GET', '/apps/offered/collaborators', undefined, ann)) as {
    role: string
    user: { email: string }
  }[]
  assert.equal(roles.map(({ role, user }) => `${user.email} ${role}`).toSorted(), [
    'ann@example.com collaborator',
    'bob@example.com owner',
  ])
  await refused(ask('DELETE', '/apps/offered', undefined, ann), 403, /manage/)
  assert.is((await activities(/^Transferred to bob@example.com$/)).length, 1)
})

test('an offer is declined, or taken back, and the app stays whose it was', async () => {
  const offer = () => good('POST', '/account/app-transfers', { app: 'kept', recipient: 'bob@example.com' }, ann)
  await good('POST', '/apps', { name: 'kept' }, ann)
  assert.is(
    (await good('PATCH', `/account/app-transfers/${(await offer()).id}`, { state: 'declined' }, bob)).state,
    'declined',
  )
  const second = await offer()
  const stranger = await person('stranger@example.com')
  await refused(ask('GET', `/account/app-transfers/${second.id}`, undefined, stranger), 404, /app transfer/)
  await good('DELETE', `/account/app-transfers/${second.id}`, undefined, ann)
  await refused(ask('PATCH', `/account/app-transfers/${second.id}`, { state: 'accepted' }, bob), 404, /app transfer/)
  assert.is((await good('GET', '/apps/kept', undefined, ann)).owner.email, 'ann@example.com')
  await offer()
  await good('DELETE', '/apps/kept', undefined, ann)
  await refused(ask('PATCH', '/account/app-transfers/kept', { state: 'accepted' }, bob), 404, /app transfer/)
})

test('an app goes to the team and back at once; what was offered before is void', async () => {
  await good('POST', '/apps', { name: 'moved' }, ann)
  await good('POST', '/apps/moved/collaborators', { user: 'bob@example.com' }, ann)
  const { id } = await good('POST', '/account/app-transfers', { app: 'moved', recipient: 'bob@example.com' }, ann)
  const app = await good('PATCH', '/teams/apps/moved', { owner: 'sluice', locked: true }, ann)
  assert.equal([app.team.name, app.locked, app.joined, app.state], ['sluice', true, true, undefined])
  await refused(ask('PATCH', `/account/app-transfers/${id}`, { state: 'accepted' }, bob), 404, /app transfer/)
  await refused(ask('PATCH', '/teams/apps/moved', { owner: 'bob@example.com' }, bob), 403, /manage/)
  assert.is((await good('GET', '/apps/moved/collaborators', undefined, bob)).length, 3)
  const back = await good('PATCH', '/teams/apps/moved', { owner: 'ann@example.com' }, ann)
  assert.equal([back.team, back.locked, back.owner.email], [null, false, 'ann@example.com'])
  assert.is((await good('GET', '/apps/moved/collaborators', undefined, ann)).length, 1)
  await refused(ask('GET', '/apps/moved', undefined, bob), 404, /that app/)
  const offered = await good('PATCH', '/teams/apps/moved', { owner: 'bob@example.com' }, ann)
  assert.equal([offered.state, offered.owner.email], ['pending', 'ann@example.com'])
})

test('who gives a team app away is told so, although it is not theirs to see any more', async () => {
  await good('POST', '/teams/apps', { name: 'given' }, ann)
  await refused(ask('PATCH', '/teams/apps/given', { owner: 'who@example.com' }, ann), 422, /no account or team who/)
  assert.is((await good('PATCH', '/teams/apps/given', { owner: bob.id }, ann)).owner.email, 'bob@example.com')
  await refused(ask('GET', '/apps/given', undefined, ann), 404, /that app/)
})

test('a transfer that breaks in the middle has not happened', async () => {
  await good('POST', '/apps', { name: 'broken' }, ann)
  await good('POST', '/account/app-transfers', { app: 'broken', recipient: 'bob@example.com' }, ann)
  const stop = "CREATE TRIGGER stop BEFORE UPDATE OF owner_id ON apps BEGIN SELECT RAISE(ABORT, 'power cut'); END"
  await host.d.db.executeQuery(CompiledQuery.raw(stop))
  assert.is((await ask('PATCH', '/account/app-transfers/broken', { state: 'accepted' }, bob)).status, 500)
  await host.d.db.executeQuery(CompiledQuery.raw('DROP TRIGGER stop'))
  assert.is((await good('GET', '/account/app-transfers/broken', undefined, bob)).state, 'pending')
  assert.is((await good('GET', '/apps/broken/collaborators', undefined, ann)).length, 1)
  await good('PATCH', '/account/app-transfers/broken', { state: 'accepted' }, bob)
  assert.is((await good('GET', '/apps/broken', undefined, bob)).owner.email, 'bob@example.com')
})

test('of several answers and transfers at the same time one counts, and the app has one owner', async () => {
  await good('POST', '/apps', { name: 'wanted' }, ann)
  const { id } = await good('POST', '/account/app-transfers', { app: 'wanted', recipient: 'bob@example.com' }, ann)
  const answers = await Promise.all([
    ask('PATCH', `/account/app-transfers/${id}`, { state: 'accepted' }, bob),
    ask('PATCH', '/teams/apps/wanted', { owner: 'sluice' }, ann),
    ask('PATCH', `/account/app-transfers/${id}`, { state: 'declined' }, bob),
    ask('DELETE', `/account/app-transfers/${id}`, undefined, ann),
    ask('DELETE', '/apps/wanted/collaborators/ann@example.com', undefined, ann),
  ])
  for (const { status, text } of answers) assert.ok(status < 500, text)
  const app = await host.d.db.selectFrom('apps').selectAll().where('name', '=', 'wanted').executeTakeFirstOrThrow()
  const rows = await host.d.db.selectFrom('collaborators').selectAll().where('app_id', '=', app.id).execute()
  assert.equal(
    rows.filter(({ role }) => role === 'owner').map(({ account_id }) => account_id),
    [app.owner_id],
  )
  const pending = await host.d.db
    .selectFrom('app_transfers')
    .selectAll()
    .where('app_id', '=', app.id)
    .where('state', '=', 'pending')
    .execute()
  assert.equal(pending, [])
})

test('only one of many offers at once stands', async () => {
  await good('POST', '/apps', { name: 'auctioned' }, ann)
  const offers = await Promise.all(
    ['bob@example.com', 'admin@example.com', 'bob@example.com', 'admin@example.com'].map((recipient) =>
      ask('POST', '/account/app-transfers', { app: 'auctioned', recipient }, ann),
    ),
  )
  assert.equal(offers.map(({ status }) => status).toSorted(), [201, 422, 422, 422])
})

test.run()
