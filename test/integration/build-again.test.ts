import { execFileSync } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Account } from '../../daemon/account/account.ts'
import { deploy } from '../../daemon/build/deploy.ts'
import { findSlug, type Slug } from '../../daemon/build/slug/slug.ts'
import { UserError } from '../../daemon/errors.ts'
import { changeConfig } from '../../daemon/release/config.ts'
import { slugArchive } from '../../daemon/store/slug-path.ts'
import { listContainers } from '../e2e/engine.ts'
import { waitFor } from '../e2e/wait.ts'
import { appsFolder, type Pushed, startRig } from './build-rig.ts'
import { type Served, serveBuildpacks } from './buildpack-server.ts'

/** What an app's next builds have of the ones before: slugs, files and cache. */
const rig = await startRig()
const { d } = rig
let served: Served
test.before(async () => {
  served = await serveBuildpacks()
})
test.after(async () => {
  await served.close()
  await rig.close()
})

const slugOf = ({ release, output }: Pushed): Promise<Slug> => {
  if (!release) throw new Error(output)
  return findSlug(d.db, release.app_id, String(release.slug_id))
}
const web = (says: string) => ({ Procfile: `web: echo ${says}\n` })

test('a commit without a change, an older source and another branch with the same are not compiled again', async () => {
  const app = await rig.app()
  const first = await slugOf(await rig.push(app, web('one'), { version: 'first' }))
  const second = await slugOf(await rig.push(app, web('two'), { version: 'second' }))
  assert.is.not(second.files, first.files)
  const reverted = await rig.push(app, web('one'), { version: 'reverted' })
  assert.match(reverted.output, /^-----> Reusing slug of v2 \(source, buildpacks, config and stack are the same\)$/m)
  assert.not.match(reverted.output, 'Compressing')
  const again = await slugOf(reverted)
  assert.is.not(again.id, first.id)
  assert.equal([again.commit, again.files, again.checksum], ['reverted', first.files, first.checksum])
  assert.match((await rig.push(app, web('one'), { version: 'empty' })).output, 'Reusing slug of v4')
})

test('a change of config compiles again, and files that came out the same are kept once', async () => {
  const app = await rig.app()
  const first = await slugOf(await rig.push(app, web('one')))
  await changeConfig(d, app, { id: app.owner_id, email: '' }, { NEW: 'value' })
  const second = await rig.push(app, web('one'))
  assert.match(second.output, /^-----> Compressing\.\.\.$/m)
  const { files, checksum, key } = await slugOf(second)
  assert.equal([files, checksum], [first.files, first.checksum])
  assert.is.not(key, first.key)
})

test('the same archive of two apps is one file', async () => {
  const [one, two] = [await rig.app(), await rig.app()]
  const pushed = await Promise.all([one, two].map((app) => rig.push(app, web('both'))))
  const third = await rig.push(await rig.app(), web('both'))
  const slugs = await Promise.all([...pushed, third].map(slugOf))
  assert.is(new Set(slugs.map(({ checksum }) => checksum)).size, 1)
  assert.is(new Set(slugs.map(({ files }) => files)).size, 3, 'each app has a tree of its own')
  const inodes = await Promise.all(slugs.map(async ({ files }) => (await stat(slugArchive(d.config, files))).ino))
  assert.ok(inodes.slice(0, 2).includes(inodes[2] ?? 0))
})

test('a release that failed is tried again with the same slug', async () => {
  const app = await rig.app()
  const source = { Procfile: 'web: true\nrelease: false\n' }
  assert.is((await rig.push(app, source)).release, undefined)
  const { output } = await rig.push(app, source)
  assert.match(output, /^-----> Reusing slug of v2 /m)
  assert.match(output, /^ran false\n\n ! {5}The release command exited with status 1\.$/m)
})

test('a cache is for one stack, and one that is too large is dropped with a word', async () => {
  const pack = await served.add('hoard', {
    'bin/detect': '#!/usr/bin/env bash\necho Hoard\n',
    'bin/compile': [
      '#!/usr/bin/env bash',
      'echo "cached: $(ls "$2")"',
      'touch "$2/of-$STACK"',
      'if [[ -f $1/large ]]; then fallocate -l 2200M "$2/large"; fi',
    ].join('\n'),
  })
  const app = await rig.app([pack])
  const push = async (stack: string, files: Record<string, string>) => {
    const { output, release } = await rig.push({ ...app, stack }, { ...web('x'), ...files })
    if (!release) throw new Error(output)
    return output
  }
  assert.match(await push('heroku-24', { n: '1' }), /^cached: $/m)
  const copies = () => readdir(join(d.config.data, 'cache', app.id, 'heroku-24'))
  await waitFor('the copy for the next build', async () => (await copies()).some((name) => name.startsWith('spare-')))
  assert.match(await push('heroku-24', { n: '2' }), /^cached: of-heroku-24$/m)
  const changed = await push('heroku-26', { n: '3' })
  assert.match(changed, /^-----> Stack changed from heroku-24 to heroku-26: building without the cache$/m)
  assert.match(changed, /^cached: $/m)
  assert.match(
    await push('heroku-26', { n: '4', large: '' }),
    /^ ! {5}The build cache is 2\.1G, more than the 2\.0G that are kept: the next build starts without one\.$/m,
  )
  assert.match(await push('heroku-26', { n: '5' }), /^cached: $/m)
})

test('a source that breaks off ends its container, which waits for it', async () => {
  const app = await rig.app(['heroku/procfile'])
  let waits = false
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.alloc(512)
    await waitFor('the container to run', async () => (await containers()).some(({ State }) => State === 'running'))
    waits = true
    throw new UserError('invalid_params', 'the client went away')
  }
  const account = { id: app.owner_id, email: 'a@example.com' }
  const source = { version: 'broken', sourceKey: 'broken', archive: Readable.from(broken()) }
  const request = { app, account, ...source, output: () => {}, signal: new AbortController().signal }
  await deploy(d, request as never).then(
    () => assert.unreachable(),
    (error) => assert.match(String(error), 'the client went away'),
  )
  assert.ok(waits, 'the container was started before its source was there')
  assert.equal(await containers(), [])
  async function containers() {
    return (await listContainers(rig.installation)).filter(({ Labels }) => Labels['sluice.app'] === app.id)
  }
})

test('a container that is up before its source has come waits for it', async () => {
  const app = await rig.app(['heroku/procfile'])
  const packed = execFileSync('tar', ['-C', join(appsFolder, 'procfile-only'), '-cf', '-', '.'])
  const slow = async function* () {
    await waitFor('the container to run', async () =>
      (await listContainers(rig.installation)).find(({ State }) => State === 'running'),
    )
    yield packed
  }
  let output = ''
  const release = await deploy(d, {
    ...{ app, account: { id: app.owner_id, email: 'a@example.com' } as Account, version: 'slow', sourceKey: 'slow' },
    ...{ archive: Readable.from(slow()), signal: new AbortController().signal },
    output: (chunk) => {
      output += chunk
    },
  })
  assert.match(output, /Procfile declares types/)
  assert.ok(release.slug_id)
})

test.run()
