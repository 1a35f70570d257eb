import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addAccount } from '../../daemon/account/account.ts'
import { forgetPassword, hashPassword, isPassword, passwordOf, setPassword } from '../../daemon/account/password.ts'
import { UserError } from '../../daemon/errors.ts'
import { limits } from '../../daemon/limits.ts'
import { decide, openDatabase } from '../../daemon/store/database.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-password-'))
const db = await openDatabase(join(folder, 'sluice.db'))
test.after(async () => {
  await db.destroy()
  await rm(folder, { recursive: true })
})
const account = await decide(db, (tx) => addAccount(tx, { email: 'a@example.com', name: null, admin: 0, now: 1 }))
const choose = async (password: string) => {
  const hash = await hashPassword(password)
  await decide(db, (tx) => setPassword(tx, account, hash, 2))
}
const refused = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'it went through',
    (error) => error.message,
  )

test('a password opens what was locked with it, and nothing else does', async () => {
  await choose('correct horse battery')
  assert.ok(await isPassword(db, account, 'correct horse battery'))
  for (const wrong of ['', 'correct horse batterx', 'Correct horse battery', 'x'.repeat(100_000)])
    assert.not.ok(await isPassword(db, account, wrong), wrong.slice(0, 30))
})

test('the same letters are the same password, however the keyboard writes them', async () => {
  await choose('caf\u00e9 au lait, 2 sucres')
  assert.ok(await isPassword(db, account, 'cafe\u0301 au lait, 2 sucres'))
})

test('only a salted hash is stored, with the parameters that it was made with', async () => {
  await choose('correct horse battery')
  const first = await passwordOf(db, account)
  await choose('correct horse battery')
  const second = await passwordOf(db, account)
  assert.match(first?.hash ?? '', /^scrypt\$32768\$8\$1\$[\w-]{22}\$[\w-]{43}$/)
  assert.is.not(first?.hash, second?.hash)
})

test('a password that was made with other parameters is still good', async () => {
  await db
    .updateTable('passwords')
    .set({ hash: 'scrypt$1024$8$1$c29kaXVtIGNobG9yaWRl$igaKOslKlexHzQhrRsfxEH4eCbn8cxewhnB6uWwFBdk' })
    .execute()
  assert.ok(await isPassword(db, account, 'an older password'))
  assert.not.ok(await isPassword(db, account, 'another password'))
})

test('where there is no password, or no account, nothing opens', async () => {
  await decide(db, (tx) => forgetPassword(tx, account))
  assert.not.ok(await isPassword(db, account, 'correct horse battery'))
  assert.not.ok(await isPassword(db, undefined, 'correct horse battery'))
})

test('a new password is neither short nor endless', async () => {
  assert.match(await refused(hashPassword('x'.repeat(limits.password.least - 1))), 'at least 12 characters')
  assert.match(await refused(hashPassword('x'.repeat(limits.password.most + 1))), 'at most 256 characters')
  assert.match(await refused(hashPassword('🎲'.repeat(6))), 'at least 12 characters')
})

test('checks take turns, and a crowd is refused in place of piling up', async () => {
  const crowd = limits.passwordChecks + limits.passwordQueue + 5
  const all = await Promise.allSettled(Array.from({ length: crowd }, () => isPassword(db, undefined, 'x')))
  const turned = all.filter((one) => one.status === 'rejected')
  assert.is(turned.length, 5)
  assert.ok(turned.every(({ reason }) => reason instanceof UserError && reason.id === 'rate_limit'))
  await choose('correct horse battery')
  assert.ok(await isPassword(db, account, 'correct horse battery'))
})

test.run()
