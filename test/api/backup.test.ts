import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { snapshotFolder } from '../../daemon/backup/capture.ts'
import { armFailpoints } from '../../daemon/failpoint.ts'
import { limits } from '../../daemon/limits.ts'
import { openDatabase } from '../../daemon/store/database.ts'
import { slugArchive, slugFolder } from '../../daemon/store/slug-path.ts'
import { waitFor } from '../e2e/wait.ts'
import { refusal, startBackups } from './backup-rig.ts'
import { slugsOf, stageApp } from './pipeline-rig.ts'

/** Backups by the API. */
const rig = await startBackups()
test.after(() => rig.stop())
const { host, ann, ask, good, refused, activities, d, data, folder, engine, memory, shop, image, held } = rig
const { headers, make, made, names, restoreTo, holdImage } = rig
// The tests are not about how long a guess takes.
Object.assign(limits, { backupScrypt: 2 ** 10 })

test('an administrator has a backup made, sees it, downloads it, and deletes it', async () => {
  const { lines } = await make()
  assert.ok(lines.some(({ of = 0 }) => of > 0))
  const { name = '', size = 0, encrypted } = lines.at(-1)?.backup ?? {}
  assert.match(name, /^sluice-\d{8}T\d{6}Z\.tar\.zst$/)
  assert.is(encrypted, false)
  const { backups, making, last, keep, every } = await good('GET', '/sluice/backups')
  assert.is(backups[0].name, name)
  assert.equal([making, keep, every, last.name, last.failure], [null, 7, null, name, null])
  assert.is((await stat(join(d.config.backups.folder, name))).mode & 0o777, 0o600)
  const answer = await fetch(`${host.url}/sluice/backups/${name}`, { headers: headers() })
  assert.is(answer.headers.get('content-length'), String(size))
  assert.ok(Buffer.from(await answer.arrayBuffer()).equals(await readFile(join(d.config.backups.folder, name))))
  assert.is((await good('DELETE', `/sluice/backups/${name}`)).name, name)
  assert.equal(await names(), [])
  await refused(ask('GET', `/sluice/backups/${name}`), 404, /Couldn't find that backup/)
  await refused(ask('GET', '/sluice/backups/..%2Fseal.key'), 404, /Couldn't find that backup/)
  assert.equal((await activities(/backup/)).map(({ text }) => text.replace(name, 'NAME')).sort(), [
    'Deleted backup NAME',
    'Downloaded backup NAME',
    'Made backup NAME',
  ])
})

test('nobody else makes, sees, downloads or deletes one', async () => {
  const { name } = await made()
  for (const [method, path] of [
    ['GET', '/sluice/backups'],
    ['POST', '/sluice/backups'],
    ['GET', `/sluice/backups/${name}`],
    ['DELETE', `/sluice/backups/${name}`],
  ] as const)
    await refused(ask(method, path, undefined, ann), 403, /Only an administrator/)
  const body = { scope: ['read-protected', 'write-protected'] }
  const { access_token: narrow } = await good('POST', '/oauth/authorizations', body)
  await refused(ask('GET', `/sluice/backups/${name}`, undefined, narrow), 403, /scope of this OAuth authorization/)
})

test('a backup is of one moment: what is deleted while it is made is in it, files and images too', async () => {
  const points = await mkdtemp(join(folder, 'points-'))
  armFailpoints(points)
  await writeFile(join(points, 'backup.captured'), 'pause')
  const making = made()
  const reached = join(points, 'backup.captured.reached')
  await waitFor('the backup to be captured', () => existsSync(reached))
  await refused(ask('POST', '/sluice/backups'), 409, /being made already/)
  assert.ok((await good('GET', '/sluice/backups')).making)
  const [first] = await slugsOf(host, shop)
  const aside = join(folder, 'aside')
  await rename(slugFolder(d.config, first?.files ?? ''), aside)
  await memory.forget(held)
  await good('PATCH', '/apps/shop', { name: 'store' })
  const later = await stageApp(host, 'later', 'since then')
  const [release] = await d.db.selectFrom('releases').select('id').where('app_id', '=', later.id).execute()
  await writeFile(join(data, 'transcripts', `release-${release?.id}`), 'since then')
  d.logs.write(later.id, { at: Date.now(), source: 'app', dyno: 'web.1', text: 'since then' })
  await waitFor('the line to be stored', () => existsSync(join(data, 'logs', later.id)))
  await rm(reached)
  const { path } = await making
  armFailpoints(undefined)
  await rename(aside, slugFolder(d.config, first?.files ?? ''))
  holdImage()
  await good('PATCH', '/apps/store', { name: 'shop' })
  const { to, store, manifest } = await restoreTo('moment', path)
  assert.ok(existsSync(slugArchive({ data: to }, first?.files ?? '')))
  assert.is(store.images.size, 1)
  assert.not((await readdir(to, { recursive: true })).some((path) => path.includes(later.id)))
  assert.not(existsSync(join(to, 'transcripts', `release-${release?.id}`)))
  assert.equal(manifest.missing, [])
  const db = await openDatabase(join(to, 'sluice.db'))
  assert.ok(await db.selectFrom('apps').select('id').where('name', '=', 'shop').executeTakeFirst())
  await db.destroy()
})

test('what rows name and is not there is told, and is no reason to have no backup', async () => {
  const [first] = await slugsOf(host, shop)
  const archive = slugArchive(d.config, first?.files ?? '')
  await rename(archive, `${archive}.lost`)
  engine.images.delete(image.id)
  const { path } = await made()
  await rename(`${archive}.lost`, archive)
  holdImage()
  const { manifest } = await restoreTo('missing', path)
  assert.equal(manifest.missing.sort(), [`image ${image.id} of boxed`, `slug ${first?.files} of shop`])
  assert.ok(host.logged.some((line) => line.includes('a backup lacks what is not there')))
})

test('a slug that is there and cannot be held makes no backup, in place of one without it', async () => {
  const [first] = await slugsOf(host, shop)
  const archive = slugArchive(d.config, first?.files ?? '')
  const aside = join(folder, 'aside')
  await rename(archive, aside)
  // what has no hard links refuses in the same way
  await mkdir(archive)
  const { lines } = await make()
  await rm(archive, { recursive: true })
  await rename(aside, archive)
  assert.match(JSON.stringify(lines.at(-1)), /internal_server_error|Internal/i)
  await made()
})

test('with a passphrase the file is encrypted, and only with it it is restored', async () => {
  const secret = join(folder, 'passphrase')
  await writeFile(secret, 'correct horse\n')
  const { backups } = d.config
  backups.passphraseFile = secret
  try {
    const { name, path, encrypted } = await made()
    assert.ok(encrypted && name.endsWith('.tar.zst.encrypted'))
    assert.match(await refusal(restoreTo('locked', path)), /It is encrypted/)
    await restoreTo('unlocked', path, { passphrase: 'correct horse' })
    await rm(secret)
    const { status, lines } = await make()
    assert.is(status, 422)
    assert.match(String(lines[0]?.message), /passphrase cannot be read from/)
    assert.match((await good('GET', '/sluice/backups')).last.failure, /passphrase cannot be read/)
  } finally {
    backups.passphraseFile = undefined
  }
})

test('a failure leaves neither a file nor a hold, and the next one is made', async () => {
  const before = await names()
  const bounds = limits as { diskReserve: number }
  const { diskReserve } = limits
  bounds.diskReserve = 2 ** 52
  const { status, lines } = await make().finally(() => {
    bounds.diskReserve = diskReserve
  })
  assert.is(status, 500)
  assert.match(JSON.stringify(lines), /There is no room for a backup: .* SLUICE_BACKUPS/)
  Object.assign(d.engine, { images: { ...memory, save: () => Promise.reject(new Error('no')) } })
  assert.match(JSON.stringify((await make()).lines.at(-1)), /Something went wrong on the platform/)
  Object.assign(d.engine, { images: memory })
  assert.equal(await names(), before)
  assert.equal((await readdir(d.config.backups.folder)).sort(), [...before].sort())
  assert.not(existsSync(snapshotFolder(d)))
  assert.equal(
    (await memory.kept()).filter((name) => name.startsWith('backup:')),
    [],
  )
  await made()
})

test('what somebody has put among the files and no archive holds is left out, and is no reason to have no backup', async () => {
  const strange = ['.hidden', 'a b', 'é'].map((name) => join(data, 'tls', name))
  const link = join(data, 'tls', 'link.pem')
  for (const path of strange) await writeFile(path, 'mine')
  await symlink('/etc/hostname', link)
  await mkdir(join(data, 'tls', '.folder'))
  try {
    const { path } = await made()
    await restoreTo('plain', path)
    assert.equal(await readdir(join(folder, 'plain', 'tls')), ['ca.key'])
  } finally {
    for (const path of [...strange, link, join(data, 'tls', '.folder')]) await rm(path, { recursive: true })
  }
})

test('a folder that is none is said to who has one made, and to the doctor; the daemon starts all the same', async () => {
  const { backups } = d.config
  const { folder: before } = backups
  const file = join(folder, 'file')
  await writeFile(file, '')
  backups.folder = join(file, 'below')
  try {
    await d.backups.start()
    const { status, lines } = await make()
    assert.is(status, 500)
    assert.match(JSON.stringify(lines), /below \(SLUICE_BACKUPS\) cannot be a folder for backups \(ENOTDIR\)/)
    assert.equal(await names(), [])
    assert.match(JSON.stringify(await d.watch.doctor()), /None can be made\. [^"]*below \(SLUICE_BACKUPS\)/)
  } finally {
    backups.folder = before
  }
  await made()
})

test('what a crash has left of one goes at the next start', async () => {
  await mkdir(join(snapshotFolder(d), 'slugs'), { recursive: true })
  await memory.keep(image.id, 'backup:0')
  const left = join(d.config.backups.folder, 'sluice-20200101T000000Z.tar.zst.part')
  await writeFile(left, 'half')
  await d.backups.start()
  assert.not(existsSync(left))
  assert.not(existsSync(snapshotFolder(d)))
  assert.not((await memory.kept()).includes('backup:0'))
})

const sluice = (...args: string[]) =>
  new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const main = join(import.meta.dirname, '..', '..', 'cli', 'main.js')
    const env = {
      ...process.env,
      ...{ SLUICE_PORT: new URL(host.url).port, SLUICE_ADMIN_TOKEN: host.token, SLUICE_DATA: join(folder, 'other') },
    }
    execFile(process.execPath, [main, ...args], { env }, (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    )
  })

test('the sluice command makes, lists, downloads, verifies and deletes them, and says what is wrong', async () => {
  const file = join(folder, 'mine.tar.zst')
  const { out: name, err } = await sluice('backup', file)
  assert.match(err, /^Making a backup\.\.\. done, [\d.]+ \w+\nDownloading sluice-\S+ to \S+\.\.\. done\n$/)
  const again = join(folder, 'again.tar.zst')
  assert.is((await sluice('backups:download', name.trim(), again)).code, 0)
  assert.equal(await readFile(again), await readFile(file))
  const verified = await sluice('backup', '--verify', file)
  assert.match(verified.out, /mine\.tar\.zst is whole: 3 apps, 4 slugs, 7 releases, 1 repositories, 1 images, /)
  assert.is(JSON.parse((await sluice('backup', '--verify', file, '--json')).out).format, 1)
  const listed = await sluice('backups')
  assert.ok(listed.out.includes(name.trim()) && listed.out.includes('None is made by itself'))
  assert.match((await sluice('backups:delete', name.trim())).err, /^Deleting sluice-\S+\.\.\. done\n$/)
  assert.not((await names()).includes(name.trim()))

  await writeFile(again, (await readFile(file)).subarray(0, 1000))
  const wrong = async (...args: string[]) => {
    const { code, out, err } = await sluice(...args)
    assert.is.not(code, 0)
    assert.is(out, '')
    return err
  }
  assert.match(await wrong('backup', '--verify', again), /^ › {3}Error: It is damaged, or not all of it is there\.\n$/)
  assert.match(await wrong('restore', again), /Error: It is damaged/)
  assert.match(await wrong('restore', join(folder, 'none')), /Error: \S+none cannot be read \(ENOENT\)\./)
  assert.match(await wrong('backup', file), /Error: \S+mine\.tar\.zst is there already\. Name another file\./)
  assert.match(await wrong('backup', join(folder, 'no', 'file')), /Error: There is no folder /)
  assert.match(await wrong('backup', '--verify'), /Error: Name the file/)
  assert.match(await wrong('backup', '--passphrase-file', file), /SLUICE_BACKUP_PASSPHRASE_FILE/)
  assert.match(await wrong('backups:download', 'none'), /There is no backup none\. See: sluice backups/)
  assert.match(await wrong('backups:delete', 'none'), /Couldn't find that backup/)
})

test('only the newest are kept, whoever asked for them', async () => {
  d.config.backups.keep = 2
  const { name } = await made()
  const kept = await names()
  assert.is(kept.length, 2)
  assert.is(kept[0], name)
  await writeFile(join(d.config.backups.folder, 'mine.tar.zst'), 'not theirs')
  await made()
  assert.is((await names()).length, 2)
  assert.ok(existsSync(join(d.config.backups.folder, 'mine.tar.zst')))
})

test.run()
