import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createRoutes } from '../../daemon/api/routes.ts'
import { absent, ours, refused } from '../schema/links.ts'
import { differences, type Link, links, linksOf } from '../schema/schema.ts'
import { unrecorded } from './unrecorded.ts'
import { walk } from './walk.ts'
import { invitationOf } from './walk-account.ts'
import { startRig } from './webhook-rig.ts'

const rig = await startRig({ SLUICE_ACME_DIRECTORY: 'https://acme.example.com/directory' })
const { host } = rig
test.after(() => rig.close())

/** `GET /apps/{app}` for `/apps/:app`. */
const routes = (): string[] => {
  const { open, closed } = createRoutes(host.d)
  return [...open.stack, ...closed.stack].flatMap(({ methods, path }) =>
    methods
      .filter((method) => method !== 'HEAD')
      .map((method) => `${method} ${String(path).replace(/:(\w+)/g, '{$1}')}`),
  )
}

/** The same words in the same places; `~` of the schema may be any account's id. */
function isOf(route: string, { method, segments }: Link): boolean {
  const [asked, path = ''] = route.split(' ')
  const parts = path.split('/')
  return (
    asked === method &&
    parts.length === segments.length &&
    segments.every((segment, index) => {
      const part = parts[index] ?? ''
      return part.startsWith('{') ? segment.startsWith('{') || segment === '~' : part === segment
    })
  )
}

const exists = (link: Link): boolean => routes().some((route) => isOf(route, link))

const absences = Object.values(absent).flat()
const isAbsent = ({ name, definition }: Link): boolean => absences.includes(name) || absences.includes(definition)

test('each of the schema’s 305 links is there, or absent for a reason', () => {
  assert.is(links.length, 305)
  assert.equal(
    links.filter((link) => !exists(link) && !isAbsent(link)).map(({ name, definition }) => `${definition}: ${name}`),
    [],
    'not there, and without a reason',
  )
  assert.equal(
    links.filter((link) => exists(link) && isAbsent(link)).map(({ name, definition }) => `${definition}: ${name}`),
    [],
    'there, but in the list of those that are absent',
  )
  const known = new Set(links.flatMap(({ name, definition }) => [name, definition]))
  assert.equal(
    absences.filter((name) => !known.has(name)),
    [],
    'in the list, but in no schema',
  )
})

test('each route that is in no schema is listed, with its reason', () => {
  const foreign = routes().filter((route) => !links.some((link) => isOf(route, link)))
  assert.equal(foreign.toSorted(), Object.values(ours).flat().toSorted())
})

test('the check sees a wrong type, a wrong format, a missing key, a list that is none, and what should say nothing', () => {
  const region = { id: 'x', name: 5, country: '', created_at: '', description: '', locale: '', private_capable: true }
  const found = differences('GET', '/regions/us', region).join('\n')
  assert.match(found, '/name must be string')
  assert.match(found, '/id must match format "uuid"')
  assert.match(found, 'has no updated_at')
  assert.match(differences('GET', '/regions', region).join(), 'must be a list')
  assert.match(differences('GET', '/regions/us', [region]).join(), 'must not be a list')
  assert.match(differences('DELETE', '/apps/x/build-cache', { id: 'x' }).join(), 'must be empty')
})

test('the schema is told without a token, with the links that are there and the address by which it was asked', async () => {
  const { status, json } = await host.request('GET', '/schema', { token: null })
  assert.is(status, 200)
  assert.is(json.links[0].href, host.url)
  const told = linksOf(json).map(({ name, definition }) => `${definition}: ${name}`)
  assert.equal(
    told,
    links.filter(exists).map(({ name, definition }) => `${definition}: ${name}`),
  )
  assert.is(json.definitions.app.properties.name.$ref, '#/definitions/app/definitions/name')
})

const faults = unrecorded(host)

test('an answer of each link that is there is what the schema says', async () => {
  const seen = await walk(rig, faults.around)
  const there = links.filter((link) => exists(link)).map(({ name }) => name)
  assert.equal(
    [...new Set(there)].filter((name) => !seen.has(name) && !(name in refused)),
    [],
    'add a request to the walk (test/api/walk.ts)',
  )
  assert.equal(
    Object.keys(refused).filter((name) => seen.has(name) || !there.includes(name)),
    [],
    'no longer refused',
  )
})

test('a change that cannot be put on record is not made: it and who made it are one decision', () => {
  assert.ok(faults.refused.length > 40, `of the walk only ${faults.refused.length} changes are put on record`)
  assert.equal(faults.made, [])
})

test('a link that is there only to say why not refuses, or lists nothing', async () => {
  await host.request('POST', '/apps', { body: { name: 'refused' } })
  const body = { email: 'refused@example.com', role: 'member' }
  const token = invitationOf(await host.request('PUT', '/teams/sluice/invitations', { body }))
  const known: Record<string, string> = { app: 'refused', team: 'sluice', 'team-invitation.token': token }
  for (const name of Object.keys(refused)) {
    const [method = '', path = ''] = name.split(' ')
    const asked = path.replace(/\{([^}]*)\}/g, (_, what) => known[what] ?? 'any')
    const { status, json } = await host.request(method, asked, method === 'GET' ? {} : { body: {} })
    if (status === 200) assert.equal(json, [], name)
    else {
      assert.ok([404, 422].includes(status), `${name}: ${status}`)
      assert.match(json.message, /\.$/, name)
    }
  }
})

test('a path that is in no schema gets Heroku’s 404, whatever the method', async () => {
  for (const path of ['/', '/nope', '/apps/x/nope', '/v3/apps', '/apps/x/y/z', '/account/password'])
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']) {
      const { status, json } = await host.request(method, path)
      assert.is(status, 404, `${method} ${path}`)
      if (method === 'HEAD') continue
      assert.is(json.id, 'not_found')
      assert.match(json.message, /^The requested API endpoint was not found\./)
    }
})

test.run()
