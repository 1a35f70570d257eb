import { utimes } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createDockerEngine, type DockerOptions } from '../../daemon/engine/docker.ts'
import { limits } from '../../daemon/limits.ts'
import { pullPushed } from '../../daemon/registry/pull.ts'
import { call } from '../e2e/engine.ts'
import { type Fault, openEngineProxy } from '../e2e/engine-proxy.ts'
import { newInstallation } from '../e2e/installation.ts'
import { type Client, digestOf, OCI, OCI_LIST, type Rig, refusal, startOther, startRig } from './registry-rig.ts'

let rig: Rig
let me: Client
let site: DockerOptions
let engine: ReturnType<typeof createDockerEngine>

test.before(async () => {
  rig = await startRig({ SLUICE_DRAIN_ALLOW: 'localhost' })
  me = rig.as(rig.host.token)
  const { config, log } = rig.host.d
  site = {
    socket: config.engineSocket,
    installation: newInstallation(),
    data: config.data,
    caBundle: undefined,
    log,
  }
  engine = createDockerEngine(site)
  rig.host.d.engine = engine
  await containerApp('shop')
})
test.after(async () => {
  for (const name of await engine.images.kept()) await engine.images.forget(name)
  await rig.close()
})

test('an app that has pushed more than it may takes no more, and other apps do', async () => {
  const app = await rig.app('hoard')
  await me.image('hoard/web', 'latest', 'x'.repeat(5000))
  assert.ok((await rig.host.d.registry.used(app.id)) > 5000)
  const other = await rig.app('modest')
  assert.is(await rig.host.d.registry.used(other.id), 0)
  const { pushedPerApp } = limits
  try {
    Object.assign(limits, { pushedPerApp: 4000 })
    const refused = await refusal(await me.request('POST', '/v2/hoard/web/blobs/uploads/'))
    assert.is(refused.code, 'DENIED')
    assert.match(
      refused.message,
      /^The images that were pushed for hoard take .* Push under tags that are there already/,
    )
    assert.is((await me.request('POST', '/v2/modest/web/blobs/uploads/')).status, 202)
  } finally {
    Object.assign(limits, { pushedPerApp })
  }
})

test('container:release: images that were pushed become a release, and the engine holds them', async () => {
  const web = await me.runnable('shop/web')
  const worker = await me.runnable('shop/worker', { cmd: ['/work', 'all day'] })
  const released = await release(
    'shop',
    { type: 'web', docker_image: web.id },
    { type: 'worker', docker_image: worker.id },
  )
  assert.equal(released.json.map((row: Row) => [row.type, row.command, row.quantity, row.docker_image?.id]).sort(), [
    ['web', '/hello', 1, web.id],
    ['worker', '/work all\\ day', 0, worker.id],
  ])
  const latest = await newest('shop')
  assert.is(latest.description, `Deployed web (${web.id.slice(7, 19)}), worker (${worker.id.slice(7, 19)})`)
  const { RepoDigests } = await call<{ RepoDigests: string[] }>('GET', `/images/${web.id}/json`)
  assert.equal(RepoDigests, [], 'nothing but the slug holds it')
  assert.equal(await heldForReleases(), [], 'nothing is held for the release alone')
})

test('a release of one process type leaves the others; the same image again makes none', async () => {
  const before = await formation('shop')
  const web = await me.runnable('shop/web')
  await release('shop', { type: 'web', docker_image: web.digest, quantity: '2' })
  const after = await formation('shop')
  assert.equal(after.worker, before.worker)
  assert.equal([after.web?.docker_image?.id, after.web?.quantity], [web.id, 2])
  const { version } = await newest('shop')
  await release('shop', { type: 'web', docker_image: web.id })
  assert.is((await newest('shop')).version, version)
})

test('images with a scale that is refused are not released; with one that is not, both are one', async () => {
  const before = { version: (await newest('shop')).version, formation: await formation('shop') }
  const { id } = await me.runnable('shop/web', { cmd: ['/hello', 'again'] })
  for (const quantity of ['many', '+9999'])
    await refused('shop', { docker_image: id, quantity }, 422, /must be a number|at most \d+ dynos/)
  await refused('shop', { docker_image: id, size: 'enormous' }, 422, /No such dyno size/)
  const more = {
    updates: [
      { type: 'web', docker_image: id },
      { type: 'none', quantity: 1 },
    ],
  }
  assert.is((await rig.host.request('PATCH', '/apps/shop/formation', { body: more })).status, 404)
  assert.equal({ version: (await newest('shop')).version, formation: await formation('shop') }, before)
  assert.is(await engine.images.inspect(id), null, 'what was fetched in vain is gone')
  await release('shop', { type: 'web', docker_image: id, quantity: '-1' })
  const { web } = await formation('shop')
  assert.equal([web?.docker_image?.id, web?.quantity], [id, 1])
  await release('shop', { type: 'web', docker_image: id, quantity: '+1' })
  assert.is((await formation('shop')).web?.quantity, 2, 'of an image that is released already only the scale is new')
})

test("web's health check stays with the image that it came with", async () => {
  const { db } = rig.host.d
  const slugs = () => db.selectFrom('slugs').select(['id', 'checks']).orderBy('created_at', 'desc').limit(1)
  const check = JSON.stringify({ web: { startup: { path: '/up', timeout: 5000 } } })
  const { id } = await slugs().executeTakeFirstOrThrow()
  await db.updateTable('slugs').set({ checks: check }).where('id', '=', id).execute()
  await release('shop', { type: 'worker', docker_image: (await me.runnable('shop/worker')).id })
  assert.is((await slugs().executeTakeFirst())?.checks, check)
  await release('shop', { type: 'web', docker_image: (await me.runnable('shop/web')).id })
  assert.is((await slugs().executeTakeFirst())?.checks, null)
})

test('container:rm takes a process type away', async () => {
  const answer = await rig.host.request('PATCH', '/apps/shop/formation/worker', { body: { docker_image: null } })
  assert.is(answer.status, 200, answer.text)
  assert.equal(Object.keys(await formation('shop')), ['web'])
  assert.is((await newest('shop')).description, 'Removed worker')
  const again = await rig.host.request('PATCH', '/apps/shop/formation/worker', { body: { docker_image: null } })
  assert.is(again.status, 404)
})

test('an image in a list is found by its own id, and by the digest of the list', async () => {
  const { id, digest } = await me.runnable('shop/listed', { tag: 'plain' })
  const platform = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' }
  const size = Number((await me.request('HEAD', `/v2/shop/listed/manifests/${digest}`)).headers.get('content-length'))
  const list = { schemaVersion: 2, mediaType: OCI_LIST, manifests: [{ mediaType: OCI, digest, size, platform }] }
  assert.is((await me.manifest('shop/listed', 'latest', list, OCI_LIST)).status, 201)
  await release('shop', { type: 'listed', docker_image: digestOf(JSON.stringify(list)) })
  assert.is((await formation('shop')).listed?.docker_image?.id, id)
})

/** With an engine that does this to the `nth` next call of a kind. */
async function struck(kind: string, fault: Fault, work: () => Promise<void>, nth = 1): Promise<void> {
  const proxy = await openEngineProxy()
  const { d } = rig.host
  d.engine = createDockerEngine({ ...site, socket: proxy.settings.SLUICE_ENGINE })
  const strike = proxy.strike(kind, fault, nth)
  try {
    await work()
    assert.ok(strike.done, `${kind} was not made`)
  } finally {
    d.engine = engine
    proxy.heal()
    await proxy.close()
  }
}

test('an engine that fails while it fetches an image: the release is refused and says why, nothing is held, and the next one goes through', async () => {
  const before = await newest('shop')
  const { imagePull } = limits
  const image = { docker_image: (await me.runnable('shop/web', { cmd: ['/hello', 'struck'] })).id }
  const fetch = 'POST /images/create'
  await struck(fetch, 'error', () => refused('shop', image, 503, /image of web could not be fetched.*engine failed/))
  for (const fault of ['lost', 'half'] as const)
    await struck(fetch, fault, () => refused('shop', image, 503, /image of web could not be fetched.*engine does not/))
  try {
    Object.assign(limits, { imagePull: 1000 })
    await struck(fetch, 'hang', () => refused('shop', image, 408, /image of web could not be fetched within/))
  } finally {
    Object.assign(limits, { imagePull })
  }
  assert.is((await newest('shop')).version, before.version)
  assert.equal(await heldForReleases(), [])
  await release('shop', { type: 'web', ...image })
  assert.is((await newest('shop')).version, before.version + 1)
})

test('a registry that fails while the engine fetches an image, or before, is what the release says', async () => {
  const { id, digest } = await me.runnable('shop/web')
  const { d } = rig.host
  const app = await d.db.selectFrom('apps').select('id').where('name', '=', 'shop').executeTakeFirstOrThrow()
  const send = () => Promise.reject(new Error('struck'))
  const how = { as: 'struck:web', signal: AbortSignal.timeout(60_000) }
  const wanted = { repository: `${app.id}/web`, digest }
  const error = await pullPushed({ ...d, registry: { ...d.registry, send } }, wanted, how).catch((error) => error)
  assert.equal([error.constructor.name, error.code], ['RegistryError', 'UNAVAILABLE'], String(error))
  const whole = d.registry.send
  try {
    const down = { statusCode: 502, headers: {} }
    d.registry.send = async () => Object.assign(Readable.from(['<h1>502</h1>']), down) as IncomingMessage
    await refused('shop', { docker_image: id }, 503, /image registry of this platform.*Try again/)
  } finally {
    d.registry.send = whole
  }
})

test('a release that is made counts, also when the engine does not let go of what was held for it', async () => {
  const { version } = await newest('shop')
  const { id } = await me.runnable('shop/web', { cmd: ['/hello', 'held'] })
  const work = async () => void (await release('shop', { type: 'web', docker_image: id }))
  // the first is of the name that it came by
  await struck('DELETE /images/*', 'error', work, 2)
  assert.is((await newest('shop')).version, version + 1)
  await engine.sweepBuilds()
  assert.equal(await heldForReleases(), [])
})

const heldForReleases = async () => (await engine.images.kept()).filter((name) => name.startsWith('build-'))

test('what cannot be released is refused in words, and nothing changes', async () => {
  const { version } = await newest('shop')
  const none = `sha256:${'0'.repeat(64)}`
  await refused('shop', { docker_image: none }, 404, /container:push web -a shop/)
  const silent = await me.runnable('shop/web', { cmd: null })
  await refused('shop', { docker_image: silent.id }, 422, /neither CMD nor ENTRYPOINT/)
  const damaged = await me.runnable('shop/web', { layer: Buffer.from('no tar') })
  await refused('shop', { docker_image: damaged.id }, 422, /engine cannot use the image of web.*push it again/)
  const foreign = await me.runnable('shop/web', { architecture: 'riscv64' })
  await refused('shop', { docker_image: foreign.id }, 422, /linux\/riscv64.*--platform linux/)
  await refused('shop', { docker_image: 'example.com/some/thing:latest' }, 422, /HOST\/NAME@sha256/)
  await refused('shop', { docker_image: `thing@${none}` }, 422, /HOST\/NAME@sha256/)
  await refused('shop', { docker_image: `127.0.0.1:5000/thing@${none}` }, 422, /address of this machine/)
  await refused('shop', { docker_image: `metadata.localhost.invalid/thing@${none}` }, 422, /no host/)
  await rig.app('slugs')
  await refused('slugs', { docker_image: silent.id }, 422, /stack:set container -a slugs/)
  assert.is((await newest('shop')).version, version)
  assert.is(await engine.images.inspect(foreign.id), null, 'what was fetched in vain is gone')
})

test('an image of last week that was never released is, whole, also when what nobody needs is collected just then', async () => {
  const { registry, db } = rig.host.d
  const { id } = await me.runnable('shop/web', { tag: 'old' })
  const app = await db.selectFrom('apps').select('id').where('name', '=', 'shop').executeTakeFirstOrThrow()
  await utimes(join(registry.storage ?? '', app.id, 'web', '_manifests', 'tags', 'old', 'current', 'link'), 0, 0)
  const collect = () =>
    registry.sweep({ live: async (apps) => new Set(apps), released: async () => new Set<string>() }, 0)
  const { pull } = engine.images
  try {
    engine.images.pull = async (...args) => {
      await collect()
      return pull(...args)
    }
    await release('shop', { type: 'web', docker_image: id })
  } finally {
    engine.images.pull = pull
  }
  await collect()
  assert.is((await me.request('HEAD', '/v2/shop/web/manifests/old')).status, 404, 'it was to go')
})

test('an image of another registry is released by its digest', async () => {
  const other = await startOther(rig.host.d.config)
  try {
    const { id, digest } = await other.client.runnable('team/thing')
    await release('shop', { type: 'web', docker_image: `localhost:${other.port}/team/thing@${digest}` })
    assert.is((await formation('shop')).web?.docker_image?.id, id)
    const wrong = `localhost:${other.port}/team/thing@${digestOf('another')}`
    await refused('shop', { docker_image: wrong }, 422, /gave no image team\/thing/)
  } finally {
    await other.close()
  }
})

interface Row {
  type: string
  command: string
  quantity: number
  docker_image: { id: string } | null
}

async function containerApp(name: string): Promise<void> {
  const { id } = await rig.app(name)
  await rig.host.d.db.updateTable('apps').set({ stack: 'container' }).where('id', '=', id).execute()
}

async function release(app: string, ...updates: object[]) {
  const answer = await rig.host.request('PATCH', `/apps/${app}/formation`, { body: { updates } })
  assert.is(answer.status, 200, answer.text)
  await rig.host.settled()
  return answer
}

async function refused(app: string, update: object, status: number, words: RegExp): Promise<void> {
  const body = { updates: [{ type: 'web', ...update }] }
  const answer = await rig.host.request('PATCH', `/apps/${app}/formation`, { body })
  assert.is(answer.status, status, answer.text)
  assert.match(answer.json.message, words)
}

const newest = async (app: string): Promise<{ version: number; description: string }> =>
  (await rig.host.request('GET', `/apps/${app}/releases`, { headers: { range: 'version ..; max=1, order=desc' } }))
    .json[0]

const formation = async (app: string): Promise<Record<string, Row>> =>
  Object.fromEntries((await rig.host.request('GET', `/apps/${app}/formation`)).json.map((row: Row) => [row.type, row]))

test.run()
