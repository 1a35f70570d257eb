import { Readable } from 'node:stream'
import { pack } from 'tar-stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { accountNamed } from '../../daemon/account/account.ts'
import { createApp } from '../../daemon/app/app.ts'
import { recoverImages, releaseImages, sweepImages } from '../../daemon/build/container/image.ts'
import { deploy } from '../../daemon/build/deploy.ts'
import { full, tooMuch } from '../../daemon/build/disk.ts'
import { EngineGone } from '../../daemon/engine/engine.ts'
import { currentConfig } from '../../daemon/release/config.ts'
import { codeOf } from '../../daemon/run/code.ts'
import { environment } from '../../daemon/run/environment.ts'
import { createImageStore, createMemoryImages, type ImageScript, imageOf } from '../engine/memory-images.ts'
import { startHost } from './host.ts'

/** The container stack over an engine without containers: what the platform makes of what a builder says. */
const host = await startHost()
test.after(() => host.close())
const { d } = host
let script: ImageScript = {}
const busy = new Set<string>()
const store = createImageStore(
  () => script,
  (id) => busy.has(id),
)
const images = createMemoryImages(store)
d.engine = { images } as typeof d.engine
store.images.set('base', imageOf())

test.before.each(() => {
  script = { config: { cmd: ['serve'] } }
})

const account = async () => {
  const found = await accountNamed(d.db, d.config.adminEmail)
  if (!found) throw new Error('there is no administrator')
  return found
}
const appOf = async (name: string) => createApp(d, await account(), { name, stack: 'container' })

async function push(app: Awaited<ReturnType<typeof appOf>>, files: Record<string, string>) {
  const tar = pack()
  for (const [name, text] of Object.entries(files)) tar.entry({ name }, text)
  tar.finalize()
  let output = ''
  try {
    const release = await deploy(d, {
      ...{ app, account: await account(), version: 'c0ffee', sourceKey: 'x', signal: new AbortController().signal },
      archive: Readable.from(tar as unknown as AsyncIterable<Buffer>, { objectMode: false }),
      output: (chunk) => {
        output += chunk
      },
    })
    return { release, output }
  } catch {
    return { release: undefined, output }
  }
}

const Dockerfile = 'FROM base\n'

test('what the API says of a release, a build and an app that are images', async () => {
  const app = await appOf('boxed')
  const { release, output } = await push(app, { Dockerfile })
  assert.ok(release, output)
  const answer = (await host.request('GET', `/apps/boxed/releases/${release.version}`)).json
  assert.equal([answer.slug, answer.artifacts[0].type, answer.eligible_for_rollback], [null, 'oci-image', true])
  const [build] = (await host.request('GET', '/apps/boxed/builds')).json
  assert.equal([build.slug, build.stack, build.status], [null, 'container', 'succeeded'])
  const { json } = await host.request('GET', '/apps/boxed')
  assert.equal([json.stack.name, json.buildpack_provided_description], ['container', null])
  assert.is((await host.request('GET', `/apps/boxed/slugs/${answer.artifacts[0].id}`)).status, 404)
  const slug = { slug: answer.artifacts[0].id }
  assert.is((await host.request('POST', '/apps/boxed/releases', { body: slug })).status, 404)
  const sent = await host.request('POST', '/apps/boxed/slugs', { body: { process_types: { web: 'x' } } })
  assert.is(sent.status, 422)
  assert.match(sent.json.message, /run images, not slugs/)
})

test('config vars of heroku.yml are for the first deploy, and only where none is set', async () => {
  const app = await appOf('vars')
  await host.request('PATCH', '/apps/vars/config-vars', { body: { OWN: 'kept' } })
  const yaml = (value: string) => `setup: {config: {OWN: x, NEW: "${value}"}}\nbuild: {docker: {web: Dockerfile}}\n`
  await push(app, { Dockerfile, 'heroku.yml': yaml('1') })
  assert.equal(await currentConfig(d, app.id), { OWN: 'kept', NEW: '1' })
  await push(app, { Dockerfile, 'heroku.yml': yaml('2') })
  assert.equal(await currentConfig(d, app.id), { OWN: 'kept', NEW: '1' })
})

test('a step that was killed is told what for, and a build that fills the disk is stopped', async () => {
  const app = await appOf('greedy')
  script = { prints: 'Step 1/1 : RUN eat\n', fails: "The command '/bin/sh -c eat' returned a non-zero code: 137" }
  const killed = await push(app, { Dockerfile })
  assert.match(
    killed.output,
    / ! {5}The command .*code: 137 It was killed, most likely because it needed more than 2\.0G/,
  )
  script = { stays: true, used: 7 * 1024 ** 3 }
  const full = await push(app, { Dockerfile })
  assert.match(full.output, new RegExp(` ! {5}${tooMuch('6.0G of disk').message}`))
  assert.equal(
    [...store.names.keys()].filter((name) => name.startsWith('build-')),
    [],
  )
})

test('an image that would make the engine fetch something when another is built on it is refused', async () => {
  const trap = imageOf({ onBuild: ['ADD http://169.254.169.254/latest /x'] })
  store.registries.set('trap:latest', trap)
  store.images.set('trap', trap)
  const { output } = await push(await appOf('trapped'), { Dockerfile: 'FROM trap\n' })
  assert.match(output, /The image trap \(ONBUILD\): ADD takes only plain names/)
})

test('a base image is fetched from where log drains may go, and no further than the disk has room', async () => {
  const app = await appOf('based')
  for (const host of ['10.213.0.2:5000', '100.100.100.200']) {
    store.registries.set(`${host}/x:1`, imageOf())
    for (const line of [`FROM ${host}/x:1`, `FROM base\nCOPY --from=${host}/x:1 / /`])
      assert.match((await push(app, { Dockerfile: line })).output, /is not one that images may be fetched from/)
  }
  const { pull, space } = images
  let left = Number.MAX_SAFE_INTEGER
  images.space = async () => ({ size: left, free: left, files: left })
  images.pull = (_, { signal } = {}) =>
    new Promise((_, reject) => {
      left = 0
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  const { output } = await push(app, { Dockerfile: 'FROM vast:1\n' })
  images.space = space
  images.pull = () => Promise.reject(new EngineGone('The Docker engine does not answer.'))
  const gone = await push(app, { Dockerfile: 'FROM vast:1\n' })
  images.pull = pull
  assert.match(output, new RegExp(` ! {5}${full().message}`))
  assert.match(gone.output, / ! {5}The Docker engine does not answer\./)
  assert.not.match(gone.output, /Check its name/)
})

test('images that a container uses go when it has gone, and those of no slug at the next start', async () => {
  const image = imageOf()
  const slug = crypto.randomUUID()
  store.images.set(image.id, image)
  await images.keep(image.id, `${slug}:web`)
  busy.add(image.id)
  await releaseImages(d, slug)
  await sweepImages(d)
  assert.ok(store.images.has(image.id))
  busy.clear()
  await sweepImages(d)
  assert.not(store.images.has(image.id))
  store.images.set(image.id, image)
  await images.keep(image.id, `${slug}:web`)
  const kept = (await images.kept()).length
  await recoverImages(d)
  assert.equal([(await images.kept()).length, store.images.has(image.id)], [kept - 1, false])
})

test('a dyno runs the image of its type, a one-off the one of web; what is shown of a CMD means the CMD', () => {
  const slug = {
    ...{ files: '', stack: 'container' },
    images: JSON.stringify({ worker: { id: 'w', command: 'work' }, web: { id: 'b', command: null } }),
    process_types: JSON.stringify({ worker: 'work', web: 'serve\\ it' }),
  }
  const runs = (type: string, command: string) => {
    const { image, code } = codeOf(d, { type, command }, slug)
    return [image, code.kind, code.command]
  }
  assert.equal(runs('worker', 'work'), ['w', 'image', 'work'])
  assert.equal(runs('web', 'serve\\ it'), ['b', 'image', null])
  assert.equal(runs('run', 'serve\\ it'), ['b', 'image', null])
  assert.equal(runs('run', 'bash'), ['b', 'image', 'bash'])
  assert.equal(runs('worker', 'bash'), ['w', 'image', 'bash'])
  const only = { ...slug, images: JSON.stringify({ worker: { id: 'w', command: null } }) }
  assert.is(codeOf(d, { type: 'run', command: 'ls' }, only).image, 'w')
})

test('an image says by its own ENV where it has what; config vars and the port come on top', () => {
  assert.equal(environment({ name: 'web.1', port: 5000 }, 'image', { A: '1' }), ['A=1', 'DYNO=web.1', 'PORT=5000'])
})

test.run()
