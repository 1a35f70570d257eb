import type { Selectable } from 'kysely'
import type { DbOrTx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'

/** What a dyno is told of itself when its app has the feature for it. */
interface Told {
  app: { id: string; name: string }
  dyno: { id: string }
  release: Selectable<Schema['releases']>
  slug: Selectable<Schema['slugs']>
}

/**
 * Heroku's variables (https://devcenter.heroku.com/articles/dyno-metadata), for releases that are newer than the wish for them: all dynos of a
 * release have the same environment.
 */
export async function metadataOf(db: DbOrTx, { app, dyno, release, slug }: Told): Promise<Record<string, string>> {
  const feature = await db
    .selectFrom('app_features')
    .select('updated_at')
    .where('app_id', '=', app.id)
    .where('name', '=', 'runtime-dyno-metadata')
    .where('enabled', '=', 1)
    .executeTakeFirst()
  if (!feature || release.created_at < feature.updated_at) return {}
  const commit = slug.commit ?? ''
  const description = slug.commit_description ?? `Deploy ${commit.slice(0, 8)}`.trim()
  return {
    HEROKU_APP_ID: app.id,
    HEROKU_APP_NAME: app.name,
    HEROKU_DYNO_ID: dyno.id,
    HEROKU_RELEASE_VERSION: `v${release.version}`,
    HEROKU_RELEASE_CREATED_AT: new Date(release.created_at).toISOString(),
    HEROKU_SLUG_COMMIT: commit,
    HEROKU_SLUG_DESCRIPTION: description,
    HEROKU_BUILD_COMMIT: commit,
    HEROKU_BUILD_DESCRIPTION: description,
  }
}
