import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addAccount, ensureAdmin } from '../../daemon/account/account.ts'
import { authenticate, listAuthorizations, revokeAuthorization } from '../../daemon/account/authorization.ts'
import { systemClock } from '../../daemon/clock.ts'
import { readConfig } from '../../daemon/config.ts'
import type { Daemon } from '../../daemon/daemon.ts'
import { type Db, openDatabase } from '../../daemon/store/database.ts'

let data: string
let db: Db
test.before.each(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-account-'))
  db = await openDatabase(join(data, 'sluice.db'))
})
test.after.each(async () => {
  await db.destroy()
  await rm(data, { recursive: true, force: true })
})

/** What `ensureAdmin` looks at. */
const daemon = (env: { SLUICE_ADMIN_TOKEN?: string; SLUICE_ADMIN_EMAIL?: string } = {}): Daemon =>
  ({ config: readConfig({ ...env, SLUICE_DATA: data }), clock: systemClock, db }) as Daemon
const path = () => join(data, 'admin.token')
const token = async () => (await readFile(path(), 'utf8')).trim()

async function admin() {
  const account = await authenticate(db, await token())
  if (!account) throw new Error('the token in the file is not valid')
  return account
}

test('the first start makes an administrator and a token that only the owner of the file can read', async () => {
  await ensureAdmin(daemon())
  assert.is((await admin()).email, 'admin@sluice.localhost')
  assert.is((await admin()).admin, 1)
  assert.is((await stat(path())).mode & 0o777, 0o600)
})

test('the token is not in the database', async () => {
  await ensureAdmin(daemon())
  const rows = JSON.stringify(await db.selectFrom('authorizations').selectAll().execute())
  assert.not.match(rows, await token())
})

test('later starts keep account and token', async () => {
  await ensureAdmin(daemon())
  const first = await token()
  await ensureAdmin(daemon())
  assert.is(await token(), first)
  assert.is((await listAuthorizations(db, await admin())).length, 1)
})

test('an address that is named after the first start is the administrator’s, once', async () => {
  await ensureAdmin(daemon())
  await ensureAdmin(daemon({ SLUICE_ADMIN_EMAIL: 'ops@example.com' }))
  assert.is((await admin()).email, 'ops@example.com')
  await ensureAdmin(daemon({ SLUICE_ADMIN_EMAIL: 'other@example.com' }))
  await ensureAdmin(daemon())
  assert.is((await admin()).email, 'ops@example.com')
})

test('an address that somebody else has stays theirs', async () => {
  await ensureAdmin(daemon())
  await db.transaction().execute((tx) => addAccount(tx, { email: 'ops@example.com', name: null, admin: 0, now: 1 }))
  await ensureAdmin(daemon({ SLUICE_ADMIN_EMAIL: 'ops@example.com' }))
  assert.is((await admin()).email, 'admin@sluice.localhost')
})

test('a lost token file means a new token, and the old one is refused', async () => {
  await ensureAdmin(daemon())
  const lost = await token()
  await rm(path())
  await ensureAdmin(daemon())
  assert.is.not(await token(), lost)
  assert.ok(await admin())
  assert.is(await authenticate(db, lost), null)
})

test('a revoked token does not come back with the next start', async () => {
  await ensureAdmin(daemon())
  for (const authorization of await listAuthorizations(db, await admin())) await revokeAuthorization(db, authorization)
  await ensureAdmin(daemon())
  assert.is(await authenticate(db, await token()), null)
})

test('a token that the operator gives replaces the one before', async () => {
  await ensureAdmin(daemon())
  const before = await token()
  await ensureAdmin(daemon({ SLUICE_ADMIN_TOKEN: 'given-1' }))
  await ensureAdmin(daemon({ SLUICE_ADMIN_TOKEN: 'given-2' }))
  assert.is(await token(), 'given-2')
  assert.ok(await admin())
  for (const old of [before, 'given-1']) assert.is(await authenticate(db, old), null)
})

test('nothing but a token is a token', async () => {
  await ensureAdmin(daemon())
  for (const text of ['', ' ', 'x'.repeat(10_000), `${await token()}x`, (await token()).toLowerCase()])
    assert.is(await authenticate(db, text), null)
})

test.run()
