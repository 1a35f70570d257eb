import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asPush, repackRepositories } from '../../daemon/git/repack.ts'
import { ensureRepository } from '../../daemon/git/repository.ts'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { waitFor } from '../e2e/wait.ts'

const run = promisify(execFile)
const data = await mkdtemp(join(tmpdir(), 'sluice-repack-'))
test.after(() => rm(data, { recursive: true }))
const said: string[] = []
const d = { config: { data }, log: createLog((line) => said.push(line)) } as unknown as Parameters<
  typeof repackRepositories
>[0]
const push = (app: string) => asPush(app, async () => {})
const repack = () => repackRepositories(d, new AbortController().signal)

/** A bare repository with so many loose objects, and how many it has. */
async function repositoryWith(objects: number) {
  const app = randomUUID()
  const path = await ensureRepository(data, app)
  const work = join(data, 'work', app)
  await mkdir(work, { recursive: true })
  for (let n = 0; n < objects; n++) await writeFile(join(work, String(n)), `${n}`)
  const git = (...args: string[]) =>
    run('git', ['--git-dir', path, '--work-tree', work, '-c', 'user.name=a', '-c', 'user.email=a@example.com', ...args])
  await git('add', '--all')
  await git('commit', '--quiet', '--message', 'all')
  const loose = async () => Number.parseInt((await git('count-objects')).stdout, 10)
  return { app, loose, git, path }
}

test('many loose objects become a pack, few stay, and nothing is lost', async () => {
  const [many, few, quiet] = [await repositoryWith(1000), await repositoryWith(10), await repositoryWith(1000)]
  const before = await few.loose()
  for (const { app } of [many, few]) await push(app)
  await repack()
  assert.equal([await many.loose(), await few.loose()], [0, before])
  assert.ok((await quiet.loose()) > 1000, 'nobody has pushed to it since it was looked at')
  assert.match((await many.git('fsck', '--full')).stdout, /^$/)
  assert.is((await many.git('ls-tree', '-r', '--name-only', 'HEAD')).stdout.trim().split('\n').length, 1000)
})

test('a repository that is pushed to is left alone until the last push has ended', async () => {
  const { app, loose } = await repositoryWith(1000)
  const before = await loose()
  await asPush(app, async () => {
    await push(app)
    await repack()
    assert.is(await loose(), before)
  })
  await repack()
  assert.is(await loose(), 0)
})

test('one that cannot be packed is told, and the next one is', async () => {
  const [broken, well] = [await repositoryWith(1), await repositoryWith(1000)]
  await rm(join(broken.path, 'HEAD'))
  for (const { app } of [broken, well]) await push(app)
  await repack()
  assert.is(await well.loose(), 0)
  assert.match(said.join(''), broken.app)
  assert.ok((await readdir(join(data, 'repos'))).includes(`${broken.app}.git`))
})

/** A repository that git comes to no end with: a hook that it asks first has a process of its own that goes on. */
async function endless() {
  const { app, path } = await repositoryWith(1000)
  const pid = join(path, 'pid')
  await mkdir(join(path, 'hooks'))
  const hook = `#!/bin/sh\nsleep 600 &\necho $! > ${pid}.new\nmv ${pid}.new ${pid}\nwait\n`
  await writeFile(join(path, 'hooks', 'pre-auto-gc'), hook, { mode: 0o755 })
  const child = async () => Number(await readFile(pid, 'utf8').catch(() => '')) || null
  await push(app)
  return { app, child }
}

const runs = async (pid: number | null) =>
  pid !== null && / [^Z] /.test(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''))

test('git that does not come to an end is ended, with all of its processes, and told', async () => {
  const { app, child } = await endless()
  const most = limits.repack
  Object.assign(limits, { repack: 2000 })
  try {
    await repack()
  } finally {
    Object.assign(limits, { repack: most })
  }
  await waitFor('its process to be gone', async () => !(await runs(await child())))
  const line = said.find((line) => line.includes(app)) ?? ''
  assert.match(line, /a repository was not repacked/)
  assert.match(line, /git took longer than/)
})

test('a daemon that stops does not wait for git', async () => {
  const { app, child } = await endless()
  const stopping = new AbortController()
  const repacked = repackRepositories(d, stopping.signal)
  const pid = await waitFor('git to be under way', child)
  stopping.abort(new Error('stopping'))
  await repacked
  await waitFor('its process to be gone', async () => !(await runs(pid)))
  assert.not.match(said.join(''), app)
})

test.run()
