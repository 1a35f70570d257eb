import { access, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { Readable, type Transform } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Images } from '../../daemon/engine/engine.ts'
import { limits } from '../../daemon/limits.ts'
import { flow } from '../../daemon/registry/call.ts'
import { pullPushed } from '../../daemon/registry/pull.ts'
import type { Needs } from '../../daemon/registry/registry.ts'
import { type Uploads, upload } from '../../daemon/registry/upload.ts'
import { waitFor } from '../e2e/wait.ts'
import {
  type Client,
  DOCKER,
  digestOf,
  imageOf,
  OCI,
  OCI_LIST,
  type Rig,
  refusal,
  startOther,
  startRig,
} from './registry-rig.ts'

let rig: Rig
let me: Client

test.before(async () => {
  rig = await startRig()
  me = rig.as(rig.host.token)
  await rig.app('shop')
})
test.after(() => rig.close())

test('docker login: a token is the password, whatever the user; without one the challenge says how', async () => {
  const stranger = await rig.as('').request('GET', '/v2/')
  assert.is(stranger.headers.get('www-authenticate'), 'Basic realm="Sluice"')
  assert.is(stranger.headers.get('docker-distribution-api-version'), 'registry/2.0')
  assert.is((await refusal(stranger)).code, 'UNAUTHORIZED')
  assert.is((await rig.as('wrong').request('GET', '/v2/')).status, 401)
  assert.is((await me.request('GET', '/v2/')).status, 200)
})

test('an image that was pushed can be pulled by tag and by digest, under the name that it was pushed to', async () => {
  const { digest, id, layer } = await me.image('shop/web', 'latest', 'a layer')
  const pulled = await me.request('GET', '/v2/shop/web/manifests/latest', { headers: { accept: DOCKER } })
  assert.is(pulled.headers.get('docker-content-digest'), digest)
  assert.is(((await pulled.json()) as { config: { digest: string } }).config.digest, id)
  assert.is(await (await me.request('GET', `/v2/shop/web/blobs/${layer}`)).text(), 'a layer')
  const head = await me.request('HEAD', `/v2/shop/web/manifests/${digest}`)
  assert.is(head.status, 200)
  const part = await me.request('GET', `/v2/shop/web/blobs/${layer}`, { headers: { range: 'bytes=2-6' } })
  assert.is(part.status, 206)
  assert.is(await part.text(), 'layer')
  assert.equal(await (await me.request('GET', '/v2/shop/web/tags/list')).json(), { name: 'shop/web', tags: ['latest'] })
  const activities = (await rig.host.request('GET', '/apps/shop/activities')).text
  assert.match(activities, `Pushed the image web:latest (${digest})`)
})

test('a layer in pieces: the upload tells how far it is, goes on from there, and a wrong digest is refused', async () => {
  const begun = await me.request('POST', '/v2/shop/web/blobs/uploads/')
  const location = begun.headers.get('location') ?? ''
  assert.match(location, /^\/v2\/shop\/web\/blobs\/uploads\//)
  const first = await me.request('PATCH', location, {
    body: 'first ',
    headers: { 'content-type': 'application/octet-stream', 'content-range': '0-5' },
  })
  assert.is(first.status, 202, await first.text())
  const asked = await me.request('GET', first.headers.get('location') ?? '')
  assert.is(asked.headers.get('range'), '0-5')
  const next = { body: 'second', headers: { 'content-type': 'text/plain' } }
  const second = await me.request('PATCH', asked.headers.get('location') ?? '', next)
  assert.is(second.status, 202, await second.text())
  const end = second.headers.get('location')
  assert.is((await refusal(await me.request('PUT', `${end}&digest=${digestOf('other')}`))).code, 'DIGEST_INVALID')
  const whole = await me.blob('shop/web', 'first second')
  assert.is(await (await me.request('GET', `/v2/shop/web/blobs/${whole}`)).text(), 'first second')
})

test('names that are no APP/TYPE, unknown apps and what no client may do are refused in words', async () => {
  const name = await refusal(await me.request('POST', '/v2/library/team/thing/blobs/uploads/'))
  assert.equal({ status: name.status, code: name.code }, { status: 400, code: 'NAME_INVALID' })
  assert.match(name.message, 'APP/TYPE')
  const unknown = await refusal(await me.request('GET', '/v2/nobodys/web/manifests/latest'))
  assert.is(unknown.code, 'NAME_UNKNOWN')
  const { digest } = await me.image('shop/web', 'latest', 'a layer')
  const removal = await refusal(await me.request('DELETE', `/v2/shop/web/manifests/${digest}`))
  assert.is(removal.code, 'UNSUPPORTED')
  assert.is((await me.request('GET', '/v2/shop/web/manifests/latest')).status, 200)
  assert.is((await me.request('GET', '/v2/shop/../../etc/passwd')).status, 404)
  const missing = await refusal(await me.request('GET', '/v2/shop/web/manifests/absent'))
  assert.is(missing.code, 'MANIFEST_UNKNOWN')
  const old = await me.manifest('shop/web', 'old', {}, 'application/vnd.docker.distribution.manifest.v1+prettyjws')
  assert.match((await refusal(old)).message, 'schema 2')
})

test('who may not see an app finds none; who may only view pulls; a token for reading does not push', async () => {
  const { token } = await rig.host.invite('ann@example.com')
  const ann = rig.as(token)
  assert.is((await refusal(await ann.request('GET', '/v2/shop/web/manifests/latest'))).code, 'NAME_UNKNOWN')
  await rig.host.request('POST', '/teams/apps', { body: { name: 'teams', team: 'sluice' } })
  await me.image('teams/web', 'latest', 'of the team')
  assert.is((await ann.request('GET', '/v2/teams/web/manifests/latest')).status, 200)
  const push = await refusal(await ann.request('POST', '/v2/teams/web/blobs/uploads/'))
  assert.is(push.code, 'DENIED')
  assert.match(push.message, 'deploy')
  const scoped = await rig.host.request('POST', '/oauth/authorizations', { body: { scope: ['read'] } })
  const reader = rig.as(scoped.json.access_token.token)
  assert.is((await reader.request('GET', '/v2/shop/web/manifests/latest')).status, 200)
  assert.is((await refusal(await reader.request('POST', '/v2/shop/web/blobs/uploads/'))).code, 'DENIED')
  const seen = await (await ann.request('GET', '/v2/_catalog')).json()
  assert.equal(seen, { repositories: ['teams/web'] })
})

test('a layer is taken over from another app only by who may see that app', async () => {
  await rig.app('other')
  const layer = await me.blob('shop/web', 'shared layer')
  const mounted = await me.request('POST', `/v2/other/web/blobs/uploads/?mount=${layer}&from=shop/web`)
  assert.is(mounted.status, 201)
  assert.is(mounted.headers.get('location'), `/v2/other/web/blobs/${layer}`)
  const { token } = await rig.host.invite('bob@example.com')
  await rig.host.request('POST', '/apps', { body: { name: 'bobs' }, token })
  const bob = rig.as(token)
  assert.is((await bob.request('POST', `/v2/bobs/web/blobs/uploads/?mount=${layer}&from=shop/web`)).status, 202)
  assert.is((await bob.request('HEAD', `/v2/bobs/web/blobs/${layer}`)).status, 404)
})

test('images follow an app that is renamed; a new app of the old name has none of them', async () => {
  await rig.app('before')
  const { digest } = await me.image('before/web', 'latest', 'moves along')
  await rig.host.request('PATCH', '/apps/before', { body: { name: 'after' } })
  const found = await me.request('HEAD', '/v2/after/web/manifests/latest')
  assert.is(found.headers.get('docker-content-digest'), digest)
  await rig.app('before')
  assert.is((await me.request('HEAD', '/v2/before/web/manifests/latest')).status, 404)
})

test('lists of images: who does not ask for lists gets the image for this platform', async () => {
  const layer = await me.blob('shop/list', 'of a list')
  const config = '{"architecture":"amd64","os":"linux"}'
  const id = await me.blob('shop/list', config)
  const image = imageOf({ id, size: config.length }, { layer, size: 9 }, OCI)
  const digest = digestOf(JSON.stringify(image))
  assert.is((await me.manifest('shop/list', digest, image, OCI)).status, 201)
  const entry = (os: string, architecture: string) => ({
    mediaType: OCI,
    digest,
    size: JSON.stringify(image).length,
    platform: { os, architecture },
  })
  const list = {
    schemaVersion: 2,
    mediaType: OCI_LIST,
    manifests: [entry('unknown', 'unknown'), entry('linux', 'amd64')],
  }
  assert.is((await me.manifest('shop/list', 'latest', list, OCI_LIST)).status, 201)
  const asDocker = await me.request('GET', '/v2/shop/list/manifests/latest', { headers: { accept: DOCKER } })
  assert.is(((await asDocker.json()) as { config: { digest: string } }).config.digest, id)
  const whole = await me.request('GET', '/v2/shop/list/manifests/latest', { headers: { accept: OCI_LIST } })
  assert.is(whole.headers.get('content-type'), OCI_LIST)
  await rig.host.d.registry.sweep(all, 0)
  assert.is((await me.request('GET', `/v2/shop/list/manifests/${digest}`)).status, 200, 'a part of a list stays')
})

test('what is pushed over goes with its blobs, and so does all of an app that is gone', async () => {
  const old = await me.image('shop/worker', 'latest', 'the old layer')
  const current = await me.image('shop/worker', 'latest', 'the new layer')
  const gone = await rig.app('gone')
  const its = await me.image('gone/web', 'latest', 'of the app that goes')
  const live: Needs = { live: async (apps) => new Set(apps.filter((id) => id !== gone.id)), released: none }
  await rig.host.d.registry.sweep(live)
  assert.is((await me.request('HEAD', `/v2/shop/worker/blobs/${old.layer}`)).status, 200, 'nobody collects so soon')
  await rig.host.d.registry.sweep(live, 0)
  assert.is((await me.request('HEAD', `/v2/shop/worker/manifests/${old.digest}`)).status, 404)
  assert.is((await me.request('HEAD', `/v2/shop/worker/blobs/${old.layer}`)).status, 404)
  assert.is((await me.request('HEAD', `/v2/shop/worker/blobs/${current.layer}`)).status, 200)
  assert.is((await me.request('HEAD', `/v2/gone/web/blobs/${its.layer}`)).status, 404)
  const removed = await rig.app('removed')
  const last = await me.image('removed/web', 'latest', 'of the app that is removed')
  await rig.host.d.registry.sweep(all, 0)
  await rig.host.d.registry.remove(removed.id)
  await rig.host.d.registry.sweep(all, 0)
  assert.is(await blobs(last.layer), false, 'nothing has been pushed since, and it goes all the same')
  const again = await me.image('shop/worker', 'old', 'the old layer')
  assert.is((await me.request('GET', `/v2/shop/worker/blobs/${again.layer}`)).status, 200, 'it can be pushed again')
})

test('a manifest that a power cut took is forgotten, and holds up nothing', async () => {
  const { digest } = await me.image('shop/broken', 'latest', 'of the broken image')
  const old = await me.image('shop/fine', 'latest', 'the old one')
  await me.image('shop/fine', 'latest', 'the new one')
  const torn = await me.image('shop/torn', 'latest', 'of the torn image')
  await rm(blobPath(digest))
  await writeFile(blobPath(torn.digest), '')
  await rig.host.d.registry.sweep(all, 0)
  assert.is((await me.request('HEAD', '/v2/shop/broken/manifests/latest')).status, 404)
  assert.is(await blobs(old.layer), false)
  await me.image('shop/broken', 'latest', 'of the broken image')
  assert.is((await me.request('HEAD', '/v2/shop/broken/manifests/latest')).status, 200)
})

const storage = (): string => rig.host.d.registry.storage ?? ''
const blobPath = (digest: string): string => {
  const hex = digest.slice('sha256:'.length)
  return join(storage(), '..', 'blobs', 'sha256', hex.slice(0, 2), hex, 'data')
}
const blobs = (digest: string): Promise<boolean> =>
  access(blobPath(digest)).then(
    () => true,
    () => false,
  )

test('bounds: tags of an image, the size of a manifest, uploads that were begun and left', async () => {
  const { id, layer } = await me.image('shop/tags', 'latest', 'tagged')
  const manifest = imageOf({ id, size: 131 }, { layer, size: 6 })
  for (let n = 1; n < limits.imageTags; n++) await me.manifest('shop/tags', `t${n}`, manifest)
  assert.match((await refusal(await me.manifest('shop/tags', 'more', manifest))).message, `${limits.imageTags} tags`)
  assert.is((await me.manifest('shop/tags', 't1', manifest)).status, 201)
  const large = await me.manifest('shop/tags', 't1', { filler: 'x'.repeat(limits.manifestBytes) })
  assert.is((await refusal(large)).code, 'SIZE_INVALID')
  const begin = async () => (await me.request('POST', '/v2/shop/web/blobs/uploads/')).headers.get('location') ?? ''
  const first = await begin()
  for (let n = 1; n <= limits.uploadsPerAccount; n++) await begin()
  assert.is((await me.request('GET', first)).status, 404, 'the oldest made room')
  const uploads: Uploads = new Map()
  const { d } = rig.host
  const req = Object.assign(Readable.from(['x']), { method: 'PATCH', headers: {} })
  const strange = { account: { id: 'a' }, repository: 'r', reference: 'never-begun', query: new URLSearchParams(), req }
  await upload(
    { ...d, registry: { send: () => Promise.reject(new Error('gone')) } } as never,
    uploads,
    strange as never,
  ).catch(() => {})
  assert.is(uploads.size, 0, 'what never began is not remembered')
})

test('a layer that is too large, or a client that stalls, is cut off; an almost full disk takes none', async () => {
  const cut = (stream: Transform) => new Promise<Error>((resolve) => stream.once('error', resolve))
  const small = flow({ most: 10 })
  const large = cut(small)
  small.end('eleven bytes')
  assert.match((await large).message, 'larger')
  assert.match((await cut(flow({ most: 10, stall: 5 }))).message, 'too long')
  const { diskReserve } = limits
  try {
    Object.assign(limits, { diskReserve: Number.MAX_SAFE_INTEGER })
    const full = await refusal(await me.request('POST', '/v2/shop/web/blobs/uploads/'))
    assert.is(full.code, 'DENIED')
    assert.match(full.message, 'disk')
  } finally {
    Object.assign(limits, { diskReserve })
  }
})

test('the door for the engine opens with its password, for one repository, to pull', async () => {
  const app = await rig.app('inside')
  const { digest } = await me.image('inside/web', 'latest', 'behind the door')
  await me.image('inside/other', 'latest', 'behind another')
  const repository = `${app.id}/web`
  const answers: number[] = []
  let door = ''
  const pull: Images['pull'] = async (reference, { auth } = {}) => {
    door = `http://${reference.split('/', 1)[0]}`
    const basic = (password: string) => `Basic ${Buffer.from(`engine:${password}`).toString('base64')}`
    const ask = async (method: string, path: string, authorization = basic(auth?.password ?? '')) =>
      answers.push((await fetch(`${door}${path}`, { method, headers: { authorization } })).status)
    await ask('GET', '/v2/')
    await ask('GET', `/v2/${repository}/manifests/${digest}`)
    await ask('GET', `/v2/${repository}/manifests/${digest}`, basic('guessed'))
    await ask('GET', `/v2/${app.id}/other/manifests/${digest}`)
    await ask('POST', `/v2/${repository}/blobs/uploads/`)
    await ask('GET', '/v2/_catalog')
    return reference
  }
  const d = { ...rig.host.d, engine: { ...rig.host.d.engine, images: { pull } as Images } }
  const how = { as: 'x:web', signal: new AbortController().signal }
  assert.match(await pullPushed(d, { repository, digest }, how), `${repository}@${digest}`)
  assert.equal(answers, [200, 200, 401, 403, 405, 405])
  assert.ok(
    await fetch(door).then(
      () => false,
      () => true,
    ),
    'the door is gone',
  )
})

test('the component dies in the middle of a layer: the client is told, and goes on when it is back', async () => {
  const begin = async () => (await me.request('POST', '/v2/shop/web/blobs/uploads/')).headers.get('location') ?? ''
  const [location, waiting] = [await begin(), await begin()]
  const { hostname, port } = new URL(rig.host.url)
  const { id } = (await rig.host.request('GET', '/apps/shop')).json
  const uploads = join(rig.host.d.registry.storage ?? '', id, 'web', '_uploads')
  const socket = connect(Number(port), hostname)
  const authorization = `Basic ${Buffer.from(`_:${rig.host.token}`).toString('base64')}`
  socket.write(
    `PATCH ${location} HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Length: 1000000\r\n\r\n`,
  )
  socket.write('x'.repeat(500_000))
  const pid = await rig.pid()
  let said = ''
  socket.on('data', (text) => {
    said += text
  })
  socket.on('error', () => {})
  await waitFor('the layer to arrive at the component', async () =>
    (await readdir(uploads, { recursive: true })).some((name) => name.endsWith('data')),
  )
  process.kill(pid, 'SIGKILL')
  await waitFor('the client to be told', () => /^HTTP\/1.1 503[\s\S]*UNAVAILABLE/.test(said))
  socket.destroy()
  const layer = await me.blob('shop/web', 'after the crash')
  assert.is((await me.request('HEAD', `/v2/shop/web/blobs/${layer}`)).status, 200)
  assert.is.not(await rig.pid(), pid)
  assert.ok(rig.host.logged.some((line) => line.includes('the image registry ended and is started again')))
  assert.is((await me.request('GET', waiting)).status, 204, 'an upload that waits outlives the component')
})

test('a registry that runs elsewhere is asked under its URL, and its own addresses are not shown', async () => {
  const other = await startOther(rig.host.d.config)
  const distant = await startRig({ SLUICE_REGISTRY: `http://localhost:${other.port}` })
  try {
    await distant.app('shop')
    const client = distant.as(distant.host.token)
    const { digest } = await client.image('shop/web', 'latest', 'kept elsewhere')
    const found = await client.request('HEAD', '/v2/shop/web/manifests/latest')
    assert.is(found.headers.get('docker-content-digest'), digest)
    const begun = await client.request('POST', '/v2/shop/web/blobs/uploads/')
    const first = begun.headers.get('location') ?? ''
    assert.match(first, /^\/v2\/shop\/web\/blobs\/uploads\//)
    for (let n = 1; n <= limits.uploadsPerAccount; n++) await client.request('POST', '/v2/shop/web/blobs/uploads/')
    assert.is((await client.request('GET', first)).status, 404, 'the oldest made room')
  } finally {
    await distant.close()
    await other.close()
  }
})

test('a registry that gives its lists in parts gives them in the names of apps', async () => {
  const paging = createServer((req, res) => {
    const [, id = ''] = /^\/v2\/([^/]+)\/web\/tags\/list\?n=1$/.exec(req.url ?? '') ?? []
    const headers = { 'content-type': 'application/json', link: `</v2/${id}/web/tags/list?last=a&n=1>; rel="next"` }
    res.writeHead(200, headers).end(JSON.stringify({ name: `${id}/web`, tags: ['a'] }))
  })
  await new Promise<void>((resolve) => paging.listen(0, '127.0.0.1', resolve))
  const { port } = paging.address() as AddressInfo
  const distant = await startRig({ SLUICE_REGISTRY: `http://127.0.0.1:${port}` })
  try {
    await distant.app('shop')
    const part = await distant.as(distant.host.token).request('GET', '/v2/shop/web/tags/list?n=1')
    assert.equal(await part.json(), { name: 'shop/web', tags: ['a'] })
    assert.is(part.headers.get('link'), '</v2/shop/web/tags/list?last=a&n=1>; rel="next"')
  } finally {
    await distant.close()
    paging.close()
  }
})

test('without a registry pushing says what to install, and logging in works', async () => {
  const bare = await startRig({ SLUICE_REGISTRY: 'none' })
  try {
    await bare.app('shop')
    const client = bare.as(bare.host.token)
    assert.is((await client.request('GET', '/v2/')).status, 200)
    const { status, code, message } = await refusal(await client.request('POST', '/v2/shop/web/blobs/uploads/'))
    assert.equal({ status, code }, { status: 405, code: 'UNSUPPORTED' })
    assert.match(message, 'docker-registry')
    const faults: Error[] = []
    const hear = (error: Error) => faults.push(error)
    process.on('uncaughtException', hear)
    const { registryStall } = limits
    Object.assign(limits, { registryStall: 20 })
    const sending = await client.request('PATCH', '/v2/shop/web/blobs/uploads/x', { body: 'x' })
    assert.is(sending.status, 405)
    await new Promise((resolve) => setTimeout(resolve, 100))
    Object.assign(limits, { registryStall })
    process.off('uncaughtException', hear)
    assert.equal(faults, [])
  } finally {
    await bare.close()
  }
})

const none = async () => new Set<string>()
const all: Needs = { live: async (apps) => new Set(apps), released: none }

test.run()
