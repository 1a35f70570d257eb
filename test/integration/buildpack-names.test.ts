import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { bundled, detectionOrder } from '../../buildpacks/bundled.ts'
import { findNamed, referencesOf, requireKnown } from '../../daemon/build/buildpack/named.ts'
import { forget } from '../../daemon/build/buildpack/shelf.ts'
import { readConfig } from '../../daemon/config.ts'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { type Served, serveBuildpacks } from './buildpack-server.ts'

/** What a name means, with a registry of the test's own. */
const data = await mkdtemp(join(tmpdir(), 'sluice-names-'))
let now = Date.now()
const clock = { now: () => now } as Parameters<typeof findNamed>[0]['clock']
const { signal } = new AbortController()
let served: Served
test.before(async () => {
  served = await serveBuildpacks()
})
test.before.each(() => {
  served.down = false
  served.answers.clear()
  // Later than all that is remembered of servers.
  now += limits.registryOutage + limits.registryKept
  served.asked.length = 0
})
test.after(async () => {
  await served.close()
  await rm(data, { recursive: true, force: true })
})

const parts = (settings: Record<string, string>) => ({
  config: readConfig({ SLUICE_DATA: data, SLUICE_BUILDPACK_REGISTRY: served.url('registry'), ...settings }),
  clock,
  log: createLog(() => {}),
})
const pack = (says: string) => ({ 'bin/compile': says })

/** The registry knows it, and has it at this URL. */
function register(name: string, blob_url: string): void {
  const [namespace, short] = name.split('/')
  served.answers.set(
    `/registry/buildpacks/${encodeURIComponent(name)}`,
    (req: IncomingMessage, res: ServerResponse) => {
      assert.is(req.headers.accept, 'application/vnd.heroku+json; version=3.buildpack-registry')
      res.end(JSON.stringify({ namespace, name: short, blob_url }))
    },
  )
}

/** What it is called in the output, and what is said of it. */
async function find(d: ReturnType<typeof parts>, name: string): Promise<[string, string | undefined]> {
  const { buildpack, note } = await findNamed(d, name, signal)
  const packs = await mkdtemp(join(data, 'packs-'))
  await buildpack.place(packs, 0)
  assert.is(buildpack.name, name)
  return [buildpack.revision, note]
}
const refusal = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => '',
    (error: Error) => error.message,
  )
const OUT = 'the buildpack registry cannot be reached'

test('a name is what the registry has of it, without another word', async () => {
  const d = parts({})
  register('heroku/nodejs', await served.addArchive('official.tgz', pack('official')))
  const [revision, note] = await find(d, 'heroku/nodejs')
  assert.is(note, undefined)
  assert.is.not(revision, (await find(parts({ SLUICE_BUILDPACK_REGISTRY: 'none' }), 'heroku/nodejs'))[0])
  await served.addArchive('official.tgz', pack('newer'))
  assert.is.not((await find(d, 'heroku/nodejs'))[0], revision)
})

test('without the registry it is what that had, then the bundled one, and the output says so', async () => {
  const d = parts({})
  const url = await served.addArchive('had.tgz', pack('had'))
  register('heroku/nodejs', url)
  const [revision] = await find(d, 'heroku/nodejs')
  served.down = true
  now += limits.registryKept
  const day = new Date(now - limits.registryKept).toISOString().slice(0, 10)
  assert.equal(await find(d, 'heroku/nodejs'), [revision, `heroku/nodejs is as it was on ${day}: ${OUT}`])
  await forget(d, referencesOf(d, 'heroku/nodejs'))
  assert.is((await find(d, 'heroku/nodejs'))[1], `heroku/nodejs is the one that comes with Sluice: ${OUT}`)
  assert.match(
    await refusal(find(d, 'heroku/cobol')),
    `The buildpack heroku/cobol cannot be fetched: ${OUT}, and it was never fetched before.`,
  )
})

test('a registry whose archives cannot be reached counts as one that cannot be', async () => {
  const d = parts({})
  served.answers.set('/broken.tgz', (req) => req.socket.destroy())
  register('heroku/nodejs', served.url('broken.tgz'))
  assert.is((await find(d, 'heroku/nodejs'))[1], `heroku/nodejs is the one that comes with Sluice: ${OUT}`)
  now += limits.registryOutage
  register('acme/private', 'http://169.254.169.254/private.tgz')
  assert.match(await refusal(find(d, 'acme/private')), 'not one that sources may be fetched from')
})

test('a name that the registry does not know may be a bundled one, or is refused', async () => {
  const d = parts({})
  const [procfile, note] = await find(d, 'heroku/procfile')
  assert.is(note, undefined)
  assert.equal(await find(parts({ SLUICE_BUILDPACK_REGISTRY: 'none' }), 'heroku/procfile'), [procfile, undefined])
  for (const registry of [served.url('registry'), 'none'])
    assert.match(
      await refusal(find(parts({ SLUICE_BUILDPACK_REGISTRY: registry }), 'heroku/cobol')),
      /^heroku\/cobol is not in the buildpack registry\. /,
    )
})

test('a registry that does not answer is not asked again for minutes; one that does is asked once a minute', async () => {
  const d = parts({})
  served.down = true
  await find(d, 'heroku/nodejs')
  served.down = false
  await find(d, 'heroku/procfile')
  await find(d, 'heroku/nodejs')
  assert.equal(served.asked, [])
  now += limits.registryOutage + 1
  await find(d, 'heroku/nodejs')
  await find(d, 'heroku/nodejs')
  assert.is(served.asked.length, 1)
  now += limits.registryKept + 1
  await find(d, 'heroku/nodejs')
  assert.is(served.asked.length, 2)
})

test('what is no answer of a registry counts as none', async () => {
  const d = parts({})
  for (const answer of ['<html>', '{"blob_url": "file:///etc/passwd"}', '{"blob_url": 1}', 'null', '[]']) {
    served.answers.set('/registry/buildpacks/heroku%2Fnodejs', (_, res) => res.end(answer))
    assert.match((await find(d, 'heroku/nodejs'))[1] ?? '', 'comes with Sluice', answer)
    now += limits.registryOutage + limits.registryKept
  }
})

test("the operator's folder comes first: folders with bin/, and archives", async () => {
  const folder = join(data, 'own')
  await mkdir(join(folder, 'heroku', 'nodejs', 'bin'), { recursive: true })
  await writeFile(join(folder, 'heroku', 'nodejs', 'bin', 'compile'), 'own')
  await mkdir(join(folder, 'acme'))
  await served.addArchive('x.tgz', pack('archive'))
  await writeFile(
    join(folder, 'acme', 'x.tgz'),
    await (await fetch(served.url('x.tgz'))).arrayBuffer().then(Buffer.from),
  )
  await chmod(join(folder, 'acme', 'x.tgz'), 0o600)
  served.asked.length = 0
  const d = parts({ SLUICE_BUILDPACKS: folder })
  for (const name of ['heroku/nodejs', 'acme/x'])
    assert.is((await find(d, name))[1], `${name} is the one in this platform's folder of buildpacks`)
  const [before] = await find(d, 'heroku/nodejs')
  await writeFile(join(folder, 'heroku', 'nodejs', 'bin', 'compile'), 'newer')
  assert.is.not((await find(d, 'heroku/nodejs'))[0], before)
  await requireKnown(d, ['acme/x'])
  assert.equal(served.asked, [])
  await find(d, 'heroku/procfile')
  assert.is(served.asked.length, 1)
})

test("the operator's mirror comes first, on whatever address; without it there is what it had, then the rest", async () => {
  const d = parts({ SLUICE_BUILDPACKS: `${served.url('mirror')}/` })
  await served.addArchive('mirror/heroku/nodejs.tgz', pack('mirrored'))
  const [revision, note] = await find(d, 'heroku/nodejs')
  assert.is(note, "heroku/nodejs is the one in this platform's mirror of buildpacks")
  assert.is((await find(d, 'heroku/procfile'))[1], undefined)
  const then = new Date(now).toISOString().slice(0, 10)
  served.down = true
  const stale = await find(d, 'heroku/nodejs')
  assert.equal(stale, [revision, `${note} as it was on ${then}: the mirror cannot be reached`])
  served.down = false
  served.asked.length = 0
  assert.equal(await find(d, 'heroku/nodejs'), stale)
  assert.equal(served.asked, [])
})

test("a name is refused when it is set only if it is known to be nobody's", async () => {
  const d = parts({})
  register('acme/known', served.url('known.tgz'))
  await requireKnown(d, ['acme/known', 'heroku/nodejs'])
  assert.match(await refusal(requireKnown(d, ['acme/unknown'])), /^acme\/unknown is not in the buildpack registry/)
  now += limits.registryKept
  served.down = true
  await requireKnown(d, ['acme/unknown'])
})

test('apps that name none are tried in the order of Heroku, then with those that come with Sluice', () => {
  assert.equal(detectionOrder.slice(0, 4), ['heroku/ruby', 'heroku/nodejs', 'heroku/clojure', 'heroku/python'])
  const ours = detectionOrder.filter((name) => bundled.some((one) => one.name === name))
  assert.is(ours.at(-1), 'heroku/procfile')
  assert.is(new Set(detectionOrder).size, detectionOrder.length)
})

test.run()
