import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { resolveStacks } from '../../buildpacks/stack.ts'
import { removeImage, tagImage } from '../../daemon/engine/image.ts'
import { interrupt } from './command.ts'
import { listImages } from './engine.ts'
import { describe, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { server } from './server.ts'
import type { Source } from './source.ts'
import { waitFor } from './wait.ts'

/** Apps of the container stack, from push to destruction. */
const platform = await startPlatform()
test.after(async () => {
  await platform.stop()
  await removeImage(socket, base)
  assert.equal(await listImages(mark), [])
})
const { api, cli } = platform

const base = `sluice-test-base:${process.pid}`
const socket = process.env.SLUICE_ENGINE || '/var/run/docker.sock'
await tagImage(socket, (await resolveStacks(socket)).get('heroku-24')?.run ?? '', base)
/** Every layer that is made here has it. */
const mark = `sluice.test.of=e2e-${process.pid}`
const from = (...lines: string[]) => [`FROM ${base}`, `LABEL ${mark}`, ...lines, ''].join('\n')
const dockerfile = from('WORKDIR /srv', 'ENV FROM_IMAGE=yes COLOUR=of-the-image', 'COPY . .', 'CMD perl server.pl')
const app = 'boxed'
let source: Source

const heroku = async (...args: string[]): Promise<string> => {
  const { code, output } = await platform.heroku(args)
  assert.is(code, 0, output)
  return output
}
const pushed = async (name = app, what = source): Promise<string> => {
  const { code, output } = await platform.push(what, name)
  assert.is(code, 0, output)
  return output
}
const layers = async () => (await listImages(mark)).map(({ Id }) => Id).sort()
const newest = async () => (await platform.releases(app)).at(-1)

test.before(() =>
  platform.prepare(async () => {
    source = await platform.createSource({ Dockerfile: dockerfile, 'server.pl': server, version: 'v1\n' })
  }),
)

test('a pushed Dockerfile is built and serves, as a user of nobody, with its own folder and environment', async () => {
  assert.match(await heroku('create', app, '--stack', 'container', '--no-remote'), /boxed/)
  const output = await pushed()
  assert.match(output, /=== Fetching app code/)
  assert.match(output, /=== Building web \(Dockerfile\)[\s\S]*Step 1\/\d+ : FROM[\s\S]*Successfully built/)
  assert.match(output, /Released v2[\s\S]*Verifying deploy\.\.\. done\./, output)
  assert.is((await platform.request(app)).body, 'v1 web.1\n')
  const env = JSON.parse((await platform.request(app, '/env')).body)
  assert.equal([env.FROM_IMAGE, env.DYNO, env.TINI_KILL_PROCESS_GROUP], ['yes', 'web.1', '1'])
  assert.match(env.PORT, /^\d+$/)
  assert.match(await heroku('ps', '-a', app), /web \(Basic\): \/bin\/sh -c perl\\ server\.pl \(1\)/)
  assert.match(await heroku('stack', '-a', app), /\* container/)
  type Answer = { slug: unknown; artifacts: { type: string }[] }
  const release = await api<Answer>('GET', `/apps/${app}/releases/2`)
  assert.equal([release.slug, release.artifacts.map(({ type }) => type)], [null, ['oci-image']])
})

test('no request fails while a push, a config change and a rollback go live', async () => {
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  await source.version('v2')
  assert.match(await pushed(), /Using cache/)
  assert.is((await platform.request(app)).body, 'v2 web.1\n')
  await heroku('config:set', 'COLOUR=blue', '-a', app)
  const set = await newest()
  assert.is((await platform.settled(app, set?.version ?? 0)).status, 'succeeded')
  assert.is(JSON.parse((await platform.request(app, '/env')).body).COLOUR, 'blue')
  await heroku('rollback', 'v2', '-a', app)
  const back = await newest()
  assert.is((await platform.settled(app, back?.version ?? 0)).status, 'succeeded')
  assert.is((await platform.request(app)).body, 'v1 web.1\n')
  assert.is(JSON.parse((await platform.request(app, '/env')).body).COLOUR, 'of-the-image')
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
})

test('a push that cannot be built, or does not start, leaves the old release serving', async () => {
  await source.commit({ Dockerfile: from('RUN echo compiling; exit 9') })
  const broken = await platform.push(source, app)
  assert.is.not(broken.code, 0)
  assert.match(broken.output, /compiling[\s\S]*returned a non-zero code: 9[\s\S]*Push failed/)
  await source.commit({ Dockerfile: from('CMD echo "no database"; exit 3') })
  const exits = await platform.push(source, app)
  assert.is.not(exits.code, 0)
  assert.match(exits.output, /no database[\s\S]*web\.1 exited with status 3/)
  assert.is((await platform.request(app)).body, 'v1 web.1\n')
})

test('heroku.yml: a web, a worker and a release command, each in its image', async () => {
  await source.commit({
    'heroku.yml': [
      'build: {docker: {web: Dockerfile, worker: jobs/Dockerfile}}',
      'release: {image: worker, command: ["cat job", "echo migrated $COLOUR"]}',
      'run:',
      '  web: perl server.pl',
      '  worker: {command: "cat job; echo works as $(id -u) in $PWD; exec sleep 600"}',
      '  greet: {image: worker, command: echo hello}',
      '',
    ].join('\n'),
    Dockerfile: dockerfile,
    'jobs/Dockerfile': from(
      'WORKDIR /jobs',
      'COPY job .',
      'ENTRYPOINT ["env", "SAID=by-the-entrypoint"]',
      'CMD ["env"]',
    ),
    'jobs/job': 'the job\n',
    version: 'v3\n',
  })
  const output = await pushed()
  assert.match(output, /=== Building worker \(jobs\/Dockerfile\)/)
  assert.match(output, /Running release command\.\.\.[\s\S]*the job[\s\S]*migrated/)
  assert.is((await platform.request(app)).body, 'v3 web.1\n')
  await heroku('ps:scale', 'worker=1', '-a', app)
  await waitFor('the worker to speak', async () =>
    /app\[worker\.1\]: works as 1000 in \/jobs/.test((await platform.heroku(['logs', '-n', '100', '-a', app])).stdout),
  )
})

test('heroku run is in the image of web, or of the type that is named, with its exit code', async () => {
  const run = (...args: string[]) => cli(['run', '-a', app, ...args])
  assert.is((await run('--', 'echo "$PWD $FROM_IMAGE" | tr a-z A-Z')).stdout, '/SRV YES\n')
  const seven = await run('--exit-code', '--', 'sh', '-c', 'exit 7')
  assert.is(seven.code, 7, seven.output)
  assert.is((await run('--type', 'worker', '--', 'cat job; echo $SAID')).stdout, 'the job\nby-the-entrypoint\n')
  assert.is((await run('greet', 'you')).stdout, 'hello you\n')
})

test('ps:exec is a shell in a running image', async () => {
  const { output, code } = await platform.cliAtTerminal(
    ['ps:exec', '-a', app, '--', 'echo "$DYNO $PWD $(id -u)"; tty'],
    {
      cwd: source.dir,
    },
  )
  assert.match(output.replaceAll('\r', ''), /web\.1 \/srv 1000\n\/dev\/pts\/\d+\n/)
  assert.is(code, 0, output)
})

test('Ctrl-C ends a build, and nothing is left of it', async () => {
  await source.commit({ Dockerfile: from('RUN echo layer >/tmp/layer', 'RUN echo ready; sleep 600') })
  const before = await layers()
  const push = platform.push(source, app)
  await waitFor('the build to run', () => /remote: ready/.test(push.sofar()))
  interrupt(push)
  await push
  await waitFor('the build to have failed', async () => {
    const builds = await api<{ status: string }[]>('GET', `/apps/${app}/builds`)
    return builds.every(({ status }) => status !== 'pending')
  })
  assert.equal(await layers(), before)
  assert.is((await platform.request(app)).body, 'v3 web.1\n')
})

test('a promotion gives the images themselves, which outlive the app that they came from', async () => {
  await platform.createApp('boxed-prod')
  const { id } = await api<{ id: string }>('POST', '/pipelines', { name: 'boxes' })
  await api('POST', '/pipeline-couplings', { app, pipeline: id, stage: 'staging' })
  await api('POST', '/pipeline-couplings', { app: 'boxed-prod', pipeline: id, stage: 'production' })
  assert.match(await heroku('pipelines:promote', '-a', app), /Promotion successful/)
  assert.is((await platform.request('boxed-prod')).body, 'v3 web.1\n')
  await heroku('apps:destroy', '-a', app, '--confirm', app)
  await waitFor('the app to be gone', async () => (await platform.containers()).length === 1)
  await platform.daemon.kill()
  await platform.startDaemon()
  await api('DELETE', '/apps/boxed-prod/dynos')
  await waitFor(
    'production to serve after a restart',
    async () => (await platform.request('boxed-prod')).status === 200,
  )
  await heroku('apps:destroy', '-a', 'boxed-prod', '--confirm', 'boxed-prod')
  await waitFor('no image to be left', async () => (await listImages(mark)).length === 0)
})

test.run()
