import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { purgeCache } from '../../daemon/build/slug/cache.ts'
import { copySlug, findSlug, removeSlug } from '../../daemon/build/slug/slug.ts'
import { limits } from '../../daemon/limits.ts'
import { currentConfig } from '../../daemon/release/config.ts'
import type { Release } from '../../daemon/release/release.ts'
import { imagesOf } from '../../daemon/run/code.ts'
import { listImages } from '../e2e/engine.ts'
import { MEMORY, PIDS, SWAP } from '../engine/cgroup.ts'
import { ensureTestImage } from '../engine/image.ts'
import { type Source, startRig } from './build-rig.ts'

const rig = await startRig()
const { d } = rig
const base = await ensureTestImage(d.config.engineSocket)
/** Every layer that a test makes has it. */
const mark = `sluice.test.of=build-${process.pid}`
const from = (...lines: string[]) => [`FROM ${base}`, `LABEL ${mark}`, ...lines, ''].join('\n')
const SERVES = 'CMD ["sh", "-c", "exec serve $PORT"]'

test.after(async () => {
  await rig.close()
  assert.equal(await listImages(mark), [])
})

const appOf = () => rig.app([], 'container')
const slugIn = (release: Release | undefined) => findSlug(d.db, release?.app_id ?? '', release?.slug_id ?? '')
const imageIds = async (release: Release | undefined) =>
  Object.fromEntries(Object.entries(imagesOf(await slugIn(release)) ?? {}).map(([type, { id }]) => [type, id]))

test('a Dockerfile alone is the image of web, and its layers are used again until the cache is purged', async () => {
  const app = await appOf()
  const source = {
    Dockerfile: from('RUN echo once', SERVES),
    'app.json': JSON.stringify({ healthchecks: { web: [{ path: '/healthz', initialDelay: 1 }] } }),
  }
  const soft = limits.slugSoft
  Object.assign(limits, { slugSoft: 1024 })
  const first = await rig.push(app, source)
  Object.assign(limits, { slugSoft: soft })
  assert.not.match(first.output, /soft limit/, 'that is for slugs')
  assert.match(
    first.output,
    /^=== Fetching app code\n\n=== Building web \(Dockerfile\)\n\nStep 1\/4 : FROM sluice\/test/,
  )
  assert.match(first.output, /\nonce\n[\s\S]*Successfully built [0-9a-f]{12}\n[\s\S]*Released v/)
  const slug = await slugIn(first.release)
  assert.equal(JSON.parse(slug.process_types), { web: 'sh -c exec\\ serve\\ \\$PORT' })
  assert.equal(JSON.parse(slug.checks ?? ''), {
    web: { readiness: { path: '/healthz', timeout: 5000, interval: 10_000, attempts: 3 } },
  })
  assert.match(first.output, / ! {5}app\.json: initialDelay of healthchecks\.web\[0\] does not count/)
  assert.match(first.output, /=== Health check of web: GET \/healthz\n/)
  assert.equal([slug.stack, slug.archive, slug.size > 1e6], ['container', 'ready', true])
  assert.equal(Object.values(imagesOf(slug) ?? {})[0]?.command, null)

  const again = await rig.push(app, source)
  assert.match(again.output, /Using cache/)
  assert.equal(await imageIds(again.release), await imageIds(first.release))
  assert.not.match((await rig.push(await appOf(), source)).output, /Using cache/)
  await purgeCache(d, app, { id: app.owner_id, email: '' })
  assert.not.match((await rig.push(app, source)).output, /Using cache/)
})

test('heroku.yml: several images, a stage, arguments, a folder as context, .dockerignore, config vars, a release command', async () => {
  const app = await appOf()
  const source: Source = {
    'heroku.yml': `
setup: {config: {GIVEN: "1"}, addons: [heroku-redis]}
build:
  docker:
    web: Dockerfile
    worker: {dockerfile: jobs/Dockerfile, target: first}
    clock: Dockerfile
  config: {COLOR: blue}
release: {image: worker, command: [echo migrated, echo seeded]}
run:
  web: serve --port $PORT
  ticker: {image: worker, command: tick}
`,
    Dockerfile: from(
      'ARG COLOR',
      `RUN echo "color $COLOR \${GIVEN-none}"`,
      'COPY . /src',
      'RUN ls -A /src /src/jobs',
      SERVES,
    ),
    '.dockerignore': '*.md\njobs\n!jobs/kept.md\n',
    'README.md': 'x',
    'jobs/Dockerfile': from('COPY . /jobs', 'RUN ls /jobs', 'ENTRYPOINT ["work"]').replace('\n', ' AS first\n'),
    'jobs/a': 'a',
    'jobs/kept.md': 'k',
  }
  const { output, release } = await rig.push(app, source)
  assert.ok(release, output)
  assert.match(output, /color blue none\n/)
  assert.match(output, /\/src:\n\.dockerignore\nDockerfile\nheroku\.yml\njobs\n\n\/src\/jobs:\nkept\.md\n/)
  assert.match(output, /=== Building worker \(jobs\/Dockerfile\)[\s\S]*\nDockerfile\na\nkept\.md\n/)
  assert.match(output, /add-ons were not provisioned, there are none here: heroku-redis\./)
  assert.match(output, /ran echo migrated && echo seeded\n/)
  assert.equal(await currentConfig(d, app.id), { GIVEN: '1' })
  assert.equal(JSON.parse((await slugIn(release)).process_types), {
    web: 'serve --port $PORT',
    worker: 'work',
    ticker: 'tick',
    release: 'echo migrated && echo seeded',
    clock: 'sh -c exec\\ serve\\ \\$PORT',
  })
  const { web, worker, ticker, clock, release: phase } = await imageIds(release)
  assert.equal([clock, ticker, phase], [web, worker, worker])
  assert.is.not(web, worker)
})

test('no app has the image of another one by its id', async () => {
  const { release } = await rig.push(await appOf(), { Dockerfile: from('RUN echo secret >/secret', SERVES) })
  const { web = '' } = await imageIds(release)
  for (const id of [web, web.slice(7), web.slice(7, 19)]) {
    await refused(
      { Dockerfile: `FROM ${id}\n${SERVES}\n` },
      /Dockerfile, line 1: [0-9a-f:sh]+ is(, or could be,)? the id of an/,
    )
    await refused({ Dockerfile: from(`COPY --fro\\m=${id} /secret /`, SERVES) }, /line 3: options must be plain/)
  }
  const held = `sluice-${rig.installation}/${release?.slug_id}:web`
  await refused({ Dockerfile: from(`COPY --from=${held} /secret /`, SERVES) }, /line 3: .* is held for an app/)
})

const refused = async (source: Source, ...words: RegExp[]) => {
  const { output, release } = await rig.push(await appOf(), source)
  assert.is(release, undefined)
  for (const word of words) assert.match(output, word, output)
  assert.match(output, / ! {5}Push failed/)
}

test('a build that cannot be is refused with what to do', async () => {
  await refused({ 'index.js': '' }, / ! {5}Your app does not include a heroku\.yml/, /heroku stack:set heroku-24/)
  await refused(
    { 'heroku.yml': 'build: {docker: {web: a/Dockerfile}}' },
    /There is no file a\/Dockerfile in the source/,
  )
  await refused(
    { Dockerfile: from(SERVES), 'app.json': '{"healthchecks": {"web": {}}}' },
    / ! {5}app\.json: healthchecks\.web must be a list of checks\./,
  )
  await refused({ 'heroku.yml': 'build: []' }, /heroku\.yml is not valid/)
  await refused({ Dockerfile: 'FRM x' }, /unknown instruction: FRM/)
  await refused(
    { Dockerfile: from('RUN --mount=type=cache,target=/x true') },
    / ! {5}The Dockerfile uses --mount, which only BuildKit knows\. Builds here do not have it: take it out\.\n/,
  )
  await refused({ Dockerfile: from('ADD http://example.com/x /x') }, /Dockerfile, line 3: ADD takes only/)
  await refused(
    { Dockerfile: 'FROM registry.invalid/nobody/nothing:1' },
    /The base image registry\.invalid\/nobody\/nothing:1 is not on this host and could not be fetched/,
  )
  await refused(
    { Dockerfile: from('RUN echo no; exit 4') },
    /\nno\n/,
    / ! {5}The command .* returned a non-zero code: 4/,
  )
  await refused({ Dockerfile: `FROM scratch\nLABEL ${mark}\nCOPY Dockerfile /` }, /image of web has neither CMD nor/)
})

test('an image may not leave what makes the engine fetch a URL for those that are built on it', async () => {
  const app = await appOf()
  const { release } = await rig.push(app, {
    Dockerfile: from('ONBUILD ADD htt"p"://example.com/x /x').replace('"p"', 'p'),
  })
  assert.is(release, undefined)
})

test('a push that is interrupted ends the build, and leaves nothing of it', async () => {
  const abort = new AbortController()
  const app = await appOf()
  const { release, output } = await rig.push(
    app,
    { Dockerfile: from('RUN echo layer >/tmp/x', 'RUN echo ready; sleep 600', 'RUN echo never') },
    { signal: abort.signal, onOutput: (said) => said.includes('ready\n') && abort.abort(new Error('gone')) },
  )
  assert.is(release, undefined)
  assert.not.match(output, /never\n/)
  assert.equal(
    (await d.engine.images.kept()).filter((name) => name.startsWith('build-')),
    [],
  )
})

test('a step of a build is bounded in processes and memory, and is on the network of builds', async () => {
  const { output } = await rig.push(await appOf(), {
    Dockerfile: from(
      // it is bounded as soon as it is seen
      `RUN until [ "$(${PIDS})" != max ]; do sleep 0.1; done; echo "processes $(${PIDS}), memory $(${MEMORY})"`,
      `RUN echo "swap $(${SWAP})"; exit 1`,
    ),
  })
  assert.match(output, /\nprocesses 2048, memory 2147483648\n/)
  assert.match(output, /\nswap (2147483648|0)\n/)
})

test('images go with the slugs that hold them, and another app may be given them', async () => {
  const app = await appOf()
  const other = await appOf()
  const { release } = await rig.push(app, { Dockerfile: from('RUN echo given', SERVES) })
  const slug = await slugIn(release)
  const id = (await imageIds(release)).web ?? ''
  const { slug: copy, fresh } = await copySlug(d, slug, other.id)
  assert.equal([fresh, copy.app_id, copy.images], [true, other.id, slug.images])
  await purgeCache(d, app, { id: app.owner_id, email: '' })
  await removeSlug(d, slug)
  assert.is((await d.engine.images.inspect(id))?.id, id)
  await removeSlug(d, copy)
  assert.is(await d.engine.images.inspect(id), null)
})

test.run()
