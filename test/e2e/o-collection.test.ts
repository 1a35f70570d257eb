import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { removeTree } from '../../daemon/remove.ts'
import { ensureTestImage } from '../engine/image.ts'
import { dockerApp } from './docker-app.ts'
import { listImages, listNetworks, listVolumes } from './engine.ts'
import { openFailpoints } from './failpoint.ts'
import { startPlatform } from './platform.ts'
import { server } from './server.ts'
import { sampleFiles, web } from './source.ts'
import { waitFor } from './wait.ts'

const run = promisify(execFile)

/** O2: a hundred deploys of two apps, most of them of slugs that are sent, some pushed, some of images. What is kept is what four of each need. */
const KEPT = 4
const SENT = 88
const PUSHED = 4
const BUILT = 8
/** Of an image, those that are labelled. */
const LAYERS = 2

const points = await openFailpoints()
const platform = await startPlatform({ ...points.settings, SLUICE_SLUGS: String(KEPT) })
const socket = process.env.SLUICE_ENGINE || '/var/run/docker.sock'
/** Every layer that is made here has it. */
const mark = `sluice.test.of=o-collection-${process.pid}`
const scratch = await mkdtemp(join(tmpdir(), 'sluice-collection-'))
test.after(async () => {
  await platform.stop()
  await points.close()
  await rm(scratch, { recursive: true })
  assert.equal(await listImages(mark), [], 'no layer of a destroyed platform is left')
})
const { api, data } = platform

/** A slug as others make it, and its release. */
async function send(app: string, version: string): Promise<void> {
  const folder = join(scratch, version)
  await run('mkdir', ['-p', join(folder, 'app')])
  const payload = Buffer.alloc(300_000, version).toString('base64')
  for (const [name, text] of Object.entries({ 'server.pl': server, version: `${version}\n`, payload }))
    await writeFile(join(folder, 'app', name), text)
  const archive = join(folder, 'slug.tgz')
  await run('tar', ['-C', folder, '-czf', archive, './app'])
  const slug = await api<{ id: string; blob: { url: string } }>('POST', `/apps/${app}/slugs`, {
    process_types: { web },
  })
  const { status } = await fetch(slug.blob.url, { method: 'PUT', body: await readFile(archive) })
  assert.is(status, 200)
  await api('POST', `/apps/${app}/releases`, { slug: slug.id })
  await rm(folder, { recursive: true })
}

const settled = async (app: string) =>
  waitFor(`all releases of ${app} to be settled`, async () =>
    (await platform.releases(app)).every(({ status }) => status !== 'pending'),
  )
const scale = (app: string, quantity: number) => api('PATCH', `/apps/${app}/formation/web`, { quantity })
const bodyOf = async (app: string) => (await platform.request(app)).body.split(/\s/)[0]
const served = (app: string, version: string) =>
  waitFor(`${app} to serve ${version}`, async () => (await bodyOf(app)) === version)

/** What there is on disk and in the engine, where a deploy leaves something. */
async function holdings() {
  const installation = (await readFile(join(data, 'installation'), 'utf8')).trim()
  const names = (folder: string) => readdir(join(data, folder)).catch(() => [])
  const du = async (folder: string) => Number.parseInt((await run('du', ['-sk', join(data, folder)])).stdout, 10)
  const tags = (await listImages(mark)).flatMap(({ RepoTags }) => RepoTags ?? [])
  return {
    slugs: (await names('slugs')).length,
    builds: (await names('builds')).length,
    dynos: (await names('dynos')).length,
    sources: (await names('sources')).length,
    slugsKiB: await du('slugs'),
    layers: (await listImages(mark)).length,
    images: tags.filter((tag) => /\/[0-9a-f-]{36}:/.test(tag)).length,
    containers: (await platform.containers()).length,
    networks: (await listNetworks(installation)).length,
    volumes: (await listVolumes(installation)).length,
  }
}

const [sent, boxed] = ['sent', 'boxed']
const source = await platform.prepare(async () => {
  await ensureTestImage(socket)
  await platform.createApp(sent)
  await api('POST', '/apps', { name: boxed, stack: 'container' })
  return platform.createSource(sampleFiles())
})

async function deploySlugs(from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) await send(sent, `s${n}`)
  await settled(sent)
}
const box = await platform.createSource({})
async function deployImages(from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) {
    const files = dockerApp(`i${n}`)
    await box.commit({ ...files, Dockerfile: `${files.Dockerfile}LABEL ${mark}\nRUN : ${n}\n` })
    const { code, output } = await platform.push(box, boxed)
    assert.is(code, 0, output)
  }
}
async function deployPushes(): Promise<void> {
  for (let n = 1; n <= PUSHED; n++) {
    await source.version(`p${n}`)
    const { code, output } = await platform.push(source, sent)
    assert.is(code, 0, output)
  }
}

/** What a release made superfluous goes in the background. */
async function collected(): Promise<void> {
  for (const app of [sent, boxed]) await settled(app)
  await waitFor('old slugs to go', async () => (await readdir(join(data, 'slugs'))).length <= KEPT)
  await waitFor('old images to go', async () => (await holdings()).images <= KEPT)
  await waitFor('their layers to go', async () => (await holdings()).layers <= LAYERS * KEPT)
  await waitFor('folders of builds to go', async () => (await holdings()).builds === 0)
  await waitFor('old dynos to go', async () => (await readdir(join(data, 'dynos'))).length <= 1, { within: 90_000 })
  await waitFor('their containers to go', async () => (await platform.containers()).length <= 2, { within: 90_000 })
}

test('O2: a hundred deploys leave what four of each app need, and the second half no more than the first', async () => {
  await send(sent, 's1')
  await served(sent, 's1')
  await scale(sent, 0)
  await Promise.all([deploySlugs(2, SENT / 2), deployImages(1, BUILT / 2)])
  await collected()
  const half = await holdings()
  await Promise.all([deploySlugs(SENT / 2 + 1, SENT), deployImages(BUILT / 2 + 1, BUILT)])
  await scale(sent, 1)
  await deployPushes()
  await served(sent, `p${PUSHED}`)
  await served(boxed, `i${BUILT}`)
  await collected()
  const { slugsKiB, layers, ...counts } = await holdings()
  assert.is((await platform.releases(sent)).length + (await platform.releases(boxed)).length, 2 + SENT + PUSHED + BUILT)
  assert.equal(counts, {
    ...{ slugs: KEPT, builds: 0, sources: 0, images: KEPT },
    // A dyno of each app, of which only the slug's has a layer and a volume; builds by buildpacks have a network of their own.
    ...{ containers: 2, dynos: 1, volumes: 1, networks: 3 },
  })
  assert.ok(slugsKiB <= half.slugsKiB, `slugs take ${slugsKiB} KiB, after half of the deploys ${half.slugsKiB}`)
  assert.is(layers, half.layers)
})

/** The versions that are kept beside the newest, newest first. */
const olderThan = (letter: string, newest: number) =>
  Array.from({ length: KEPT - 1 }, (_, n) => `${letter}${newest - 1 - n}`)
const oldest = olderThan('p', PUSHED).at(-1) ?? ''

interface Shown {
  version: number
  eligible_for_rollback: boolean
  slug: { id: string } | null
}

/** Versions that can be rolled back to, newest first; the first serves. */
const eligible = async (app: string) =>
  (await api<Shown[]>('GET', `/apps/${app}/releases`)).filter((one) => one.eligible_for_rollback).reverse()

test('a rollback to each that is kept serves it, also when its tree was idle and is gone', async () => {
  for (const [app, versions] of [
    [sent, olderThan('p', PUSHED)],
    [boxed, olderThan('i', BUILT)],
  ] as const) {
    const [, ...older] = await eligible(app)
    assert.is(older.length, KEPT - 1)
    for (const [n, { version, slug }] of older.entries()) {
      if (slug) await removeTree(join(data, 'slugs', slug.id, 'tree'))
      await api('POST', `/apps/${app}/releases`, { release: String(version) })
      await served(app, versions[n] ?? '')
      await settled(app)
    }
  }
})

test('a rollback to an older one is refused with those that can be rolled back to', async () => {
  const { code, output } = await platform.cli(['rollback', 'v2', '-a', sent])
  assert.is.not(code, 0)
  assert.match(
    output.replace(/[\s›]+/g, ' '),
    /Cannot roll back to v2: its slug is no longer kept\. Releases that can be rolled back to: v\d+, v/,
  )
  assert.is(await bodyOf(sent), oldest)
})

test('a kill between the rows and the files of old slugs leaves none at the next start, and takes nothing that is kept', async () => {
  await collected()
  // The network of builds is made again by the next one.
  const { networks: _, slugsKiB: __, ...before } = await holdings()
  await points.arm('slugs.deleted', 'kill')
  await send(sent, 'last')
  await points.struck('slugs.deleted')
  await waitFor('the daemon to be dead', () => !platform.daemon.running)
  assert.is((await holdings()).slugs, KEPT + 1)
  await platform.startDaemon()
  await served(sent, 'last')
  await collected()
  const { networks, slugsKiB: ___, ...after } = await holdings()
  assert.equal([after, networks], [before, 2])
})

test.run()
