import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { alone, changeLogins, folder, readLogins } from '../../cli/logins.ts'

/** The file of logins, which several commands may change at once. */
let home: string
test.before.each(async () => {
  home = await mkdtemp(join(tmpdir(), 'sluice-logins-'))
  process.env.XDG_CONFIG_HOME = home
})
test.after.each(() => rm(home, { recursive: true }))

const add = (n: number) =>
  changeLogins(({ platforms }) => {
    platforms[`https://${n}.example.com`] = { token: `token-${n}`, git: `${n}.example.com` }
  })

test('of logins at the same time none is lost, and nothing is left beside the file', async () => {
  await Promise.all(Array.from({ length: 10 }, (_, n) => add(n)))
  assert.is(Object.keys((await readLogins()).platforms).length, 10)
  assert.equal(await readdir(folder()), ['logins.json'])
})

test('a change that fails keeps nobody else waiting, nor does a command that died over its own', async () => {
  await alone(async () => {
    throw new Error('no')
  }).catch(() => undefined)
  await add(1)
  const lock = join(folder(), 'logins.json.lock')
  await writeFile(lock, '')
  await utimes(lock, 0, 0)
  await add(2)
  assert.is(Object.keys((await readLogins()).platforms).length, 2)
})

test.run()
