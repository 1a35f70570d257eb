import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asPush, repackRepositories } from '../../daemon/git/repack.ts'
import { ensureRepository } from '../../daemon/git/repository.ts'
import { createLog } from '../../daemon/log.ts'

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

test.run()
