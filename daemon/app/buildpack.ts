import type { Account } from '../account/account.ts'
import { enact } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import type { DbOrTx, Tx } from '../store/database.ts'
import type { App } from './app.ts'
import { hasSecrets, parseBuildpacks, publicBuildpack } from './buildpack-name.ts'

/** A buildpack that an app's next build uses, in order: a URL, or a name. */
export interface Installation {
  ordinal: number
  url: string
}

/** None means that the build detects it. */
export async function listInstallations(d: Pick<Daemon, 'db' | 'seal'>, app: string): Promise<Installation[]> {
  const rows = await installationsOf(d.db, app).orderBy('ordinal').execute()
  return rows.map(({ ordinal, url }) => ({ ordinal, url: opened(d, app, url) }))
}

/** Replaces the whole list, as one decision. Throws UserError for what is neither a URL nor a name, and for doubles. */
export async function replaceInstallations(
  d: Daemon,
  app: App,
  account: Account,
  names: readonly string[],
): Promise<Installation[]> {
  const urls = parseBuildpacks(names)
  const text = urls.length > 0 ? `Set buildpacks ${urls.map(publicBuildpack).join(', ')}` : 'Cleared buildpacks'
  await enact(d, { app, by: account, text }, async (tx) => {
    await tx.deleteFrom('buildpack_installations').where('app_id', '=', app.id).execute()
    for (const [ordinal, url] of urls.entries())
      await tx
        .insertInto('buildpack_installations')
        .values({ app_id: app.id, ordinal, url: sealed(d, app.id, url) })
        .execute()
  })
  return urls.map((url, ordinal) => ({ ordinal, url }))
}

/**
 * The buildpack that an app's first build found is its own from then on, as on Heroku; not when others were set meanwhile.
 * https://devcenter.heroku.com/articles/buildpacks#buildpack-detect-order
 */
export async function keepDetected(tx: Tx, app: string, name: string): Promise<void> {
  if (await installationsOf(tx, app).limit(1).executeTakeFirst()) return
  await tx.insertInto('buildpack_installations').values({ app_id: app, ordinal: 0, url: name }).execute()
}

const installationsOf = (db: DbOrTx, app: string) =>
  db.selectFrom('buildpack_installations').select(['ordinal', 'url']).where('app_id', '=', app)

const SEALED = 'sealed:'

/** What holds secrets is not readable in the database; rows from before that are as they were. */
const sealed = ({ seal }: Pick<Daemon, 'seal'>, app: string, url: string): string =>
  hasSecrets(url) ? `${SEALED}${seal.seal(url, app)}` : url

const opened = ({ seal }: Pick<Daemon, 'seal'>, app: string, url: string): string =>
  url.startsWith(SEALED) ? seal.open(url.slice(SEALED.length), app) : url
