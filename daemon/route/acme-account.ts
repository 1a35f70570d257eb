import { type AccountKey, generateKey, openKey } from '../acme/key.ts'
import type { Daemon } from '../daemon.ts'

/** Our key at this authority, made at first use; it is stored before the authority knows it, so that a crash leaves one account. */
export async function accountKey(
  { db, seal, clock }: Pick<Daemon, 'db' | 'seal' | 'clock'>,
  directory: string,
): Promise<AccountKey> {
  const fresh = { directory, private_key: seal.seal(generateKey(), directory), created_at: clock.now() }
  await db
    .insertInto('acme_accounts')
    .values(fresh)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const { private_key } = await db
    .selectFrom('acme_accounts')
    .select('private_key')
    .where('directory', '=', directory)
    .executeTakeFirstOrThrow()
  return openKey(seal.open(private_key, directory))
}
