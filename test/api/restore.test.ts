import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Restore, requireWhole } from '../../daemon/backup/restore.ts'
import { recoverUploads } from '../../daemon/build/source/upload.ts'
import { repositoryPath } from '../../daemon/git/repository.ts'
import { openDatabase } from '../../daemon/store/database.ts'
import { slugArchive } from '../../daemon/store/slug-path.ts'
import { manifest, packed, sumsOf, tarOf } from '../unit/backup-file.ts'
import { blob, keys, refusal, startBackups } from './backup-rig.ts'
import { slugsOf, stageApp } from './pipeline-rig.ts'

/** Restores of backups that were made, and of files that claim to be backups. */
const run = promisify(execFile)
const rig = await startBackups()
test.after(() => rig.stop())
const { host, ann, d, data, folder, shop, commit, image, held, transcript, made, restoreTo } = rig

test('what is restored is what was there, with keys and rights, and nothing else', async () => {
  await chmod(join(data, 'seal.key'), 0o440)
  const { path } = await made()
  const { to, store, manifest } = await restoreTo('whole', path)
  assert.equal(manifest.counts, { apps: 2, slugs: 3, releases: 5, repositories: 1, images: 1 })
  for (const [name, text] of Object.entries(keys)) {
    assert.is(await readFile(join(to, name), 'utf8'), text, name)
    assert.is((await stat(join(to, name))).mode & 0o777, 0o600, name)
  }
  assert.is(await readFile(join(to, blob), 'utf8'), 'a layer')
  assert.is(await readFile(join(to, 'transcripts', transcript), 'utf8'), 'all is well\n')
  for (const { files } of await slugsOf(host, shop))
    assert.equal(await readFile(slugArchive({ data: to }, files)), await readFile(slugArchive(d.config, files)))
  for (const left of ['cache', 'builds', 'dynos', 'sources', 'backups', 'restore'])
    assert.not(existsSync(join(to, left)), left)
  assert.equal([...store.names], [[held, image.id]])
  const db = await openDatabase(join(to, 'sluice.db'))
  const rows = async (from: typeof db) => ({
    releases: await from.selectFrom('releases').selectAll().orderBy('id').execute(),
    slugs: await from.selectFrom('slugs').selectAll().orderBy('id').execute(),
    formation: await from.selectFrom('formation').selectAll().orderBy('id').execute(),
  })
  assert.equal(await rows(db), await rows(d.db))
  assert.equal(await db.selectFrom('dynos').selectAll().execute(), [])
  assert.ok((await d.db.selectFrom('dynos').selectAll().execute()).length > 0)
  await db.destroy()
})

test('repositories come back with branches, tags, their default branch, and where a shallow history ends', async () => {
  const repository = repositoryPath(data, shop.id)
  const git = async (...args: string[]) => (await run('git', args)).stdout
  const clone = join(folder, 'deep')
  const own = ['-C', clone, '-c', 'user.name=x', '-c', 'user.email=x@example.com']
  await git('clone', '--quiet', repository, clone)
  await git(...own, 'commit', '--quiet', '--allow-empty', '-m', 'second')
  await git(...own, 'tag', '-a', '-m', 'a tag', 'v1')
  await git(...own, 'push', '--quiet', 'origin', 'HEAD:refs/heads/branch', 'v1')
  const cut = join(folder, 'shallow')
  await git('clone', '--quiet', '--depth=1', `file://${clone}`, cut)
  const other = await stageApp(host, 'cut-off', 'x')
  await git('init', '--quiet', '--bare', '--initial-branch=master', repositoryPath(data, other.id))
  await git('--git-dir', repositoryPath(data, other.id), 'config', 'receive.shallowUpdate', 'true')
  await git('-C', cut, 'push', '--quiet', `file://${repositoryPath(data, other.id)}`, 'HEAD:refs/heads/master')
  assert.ok(existsSync(join(repositoryPath(data, other.id), 'shallow')))
  const { to } = await restoreTo('repositories', (await made()).path)
  for (const app of [shop.id, other.id]) {
    const described = async (at: string) => [
      await git('--git-dir', repositoryPath(at, app), 'for-each-ref'),
      await git('--git-dir', repositoryPath(at, app), 'symbolic-ref', 'HEAD'),
      await git('--git-dir', repositoryPath(at, app), 'log', '--all', '--format=%H'),
    ]
    assert.equal(await described(to), await described(data))
    await git('--git-dir', repositoryPath(to, app), 'fsck', '--full', '--strict')
  }
  assert.match(await git('--git-dir', repositoryPath(to, shop.id), 'log', '--format=%H', 'main'), commit)
})

test('a folder with a platform, or with something of one, is left alone', async () => {
  const { path } = await made()
  const { to } = await restoreTo('taken', path)
  const before = await readdir(to, { recursive: true })
  assert.match(await refusal(restoreTo('taken', path)), /There is a platform in .*taken already.*put it aside: mv /)
  assert.equal(await readdir(to, { recursive: true }), before)
  await mkdir(join(folder, 'some'))
  await writeFile(join(folder, 'some', 'seal.key'), 'precious')
  assert.match(await refusal(restoreTo('some', path)), /something of a platform in .*some already \(seal\.key\)/)
  assert.is(await readFile(join(folder, 'some', 'seal.key'), 'utf8'), 'precious')
})

test('nothing is restored of what is damaged, too new, hostile, or has no room', async () => {
  const { path } = await made()
  const whole = await readFile(path)
  const file = join(folder, 'bad')
  const leavesNothing = async (change: Partial<Restore> = {}): Promise<string> => {
    const words = await refusal(restoreTo('nothing', file, change))
    assert.equal(await readdir(join(folder, 'nothing')), [], words)
    return words
  }
  await writeFile(file, whole.subarray(0, whole.length - 100))
  assert.match(await leavesNothing(), /It is damaged, or not all of it is there/)
  const tar = async (...entries: Parameters<typeof tarOf>[0]) => {
    const first = { name: 'manifest.json', text: manifest() }
    const sums = { name: 'SHA256SUMS', text: sumsOf([first, ...entries]) }
    await writeFile(file, await packed(await tarOf([first, ...entries, sums])))
  }
  const place = { name: 'data', type: 'directory' } as const
  await tar(place, { name: 'data/unknown', text: 'x' })
  assert.match(await leavesNothing(), /It has data\/unknown, which this Sluice knows nothing of/)
  for (const name of ['config', 'hooks', 'objects/info/alternates']) {
    const of = `data/repos/one.git/${name}`
    await tar(
      place,
      { name: 'data/repos', type: 'directory' },
      { name: 'data/repos/one.git', type: 'directory' },
      { name: of, text: 'x' },
    )
    assert.match(await leavesNothing(), `It has ${of}, which this Sluice knows nothing of`)
  }
  await tar({ name: 'elsewhere', text: 'x' })
  assert.match(await leavesNothing(), /It has elsewhere, which/)
  await tar(place, { name: 'data/seal.key', text: 'x' }, { name: 'data/seal.key', text: 'y' })
  assert.match(await leavesNothing(), /It is damaged/)
  await tar({ name: 'data/seal.key', text: 'x' })
  assert.match(await leavesNothing(), /It is damaged/)
  await writeFile(
    file,
    await packed(await tarOf([{ name: 'manifest.json', text: manifest({ schema: 10_000, sluice: '7.0.0' }) }])),
  )
  assert.match(await leavesNothing(), /made by a newer Sluice \(7\.0\.0\)/)
  await writeFile(file, await packed(await tarOf([{ name: 'manifest.json', text: manifest({ bytes: 2 ** 60 }) }])))
  assert.match(await leavesNothing(), /There is no room for it/)
  await writeFile(file, whole)
  const images = () => Promise.reject(new Error('The Docker engine does not answer.'))
  assert.match(await leavesNothing({ images }), /Nothing was restored: The Docker engine does not answer/)
})

test('a restore that was broken off keeps a daemon from starting, and the next one takes its place', async () => {
  const { path } = await made()
  const { to } = await restoreTo('broken', path)
  // As when it is killed between two moves.
  await mkdir(join(to, 'restore', 'data'), { recursive: true })
  await rename(join(to, 'sluice.db'), join(to, 'restore', 'data', 'sluice.db'))
  await writeFile(join(to, 'seal.key'), 'of the first')
  assert.match(await refusal(requireWhole(to)), /A restore into .*broken goes on, or did not come to its end/)
  await restoreTo('broken', path)
  assert.is(await readFile(join(to, 'seal.key'), 'utf8'), keys['seal.key'])
  await requireWhole(to)
  // And after the last one.
  await mkdir(join(to, 'restore'))
  await requireWhole(to)
  assert.not(existsSync(join(to, 'restore')))
})

test('two restores into one folder do not get into each other’s way', async () => {
  const { path } = await made()
  const to = join(folder, 'twice')
  await mkdir(join(to, 'restore'), { recursive: true })
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'main.js', 'restore', 'file'])
  await writeFile(join(to, 'restore', 'pid'), String(other.pid))
  assert.match(await refusal(restoreTo('twice', path)), /A restore into .*twice goes on \(process \d+\)\. Wait/)
  other.kill('SIGKILL')
  await once(other, 'close')
  await restoreTo('twice', path)
})

test('sources that are in no backup are forgotten by the daemon that starts', async () => {
  const now = Date.now()
  const account_id = ann.id
  for (const [id, checksum] of [
    ['gone', 'abc'],
    ['awaited', null],
  ] as const)
    await d.db
      .insertInto('sources')
      .values({ id, account_id, checksum, size: null, created_at: now, updated_at: now })
      .execute()
  await recoverUploads(d)
  assert.equal(await d.db.selectFrom('sources').select('id').execute(), [{ id: 'awaited' }])
})

test.run()
