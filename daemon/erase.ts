import { forgetApp } from './app/app.ts'
import { endBuildOf } from './build/build.ts'
import { removeCache } from './build/slug/cache.ts'
import { remainsOf, removeSlug } from './build/slug/slug.ts'
import { within } from './clock.ts'
import type { Daemon } from './daemon.ts'
import { failpoint } from './failpoint.ts'
import { removeRepository } from './git/git.ts'
import { limits } from './limits.ts'

/**
 * Ends an app that has no dynos left: its build, which would make some of it again; then everything that it has on disk and in the engine goes, then its rows. Safe to repeat, so a
 * crash in the middle leaves an app that is destroyed a little more at the next look. Files of slugs, which other apps may share, go when
 * no row has them; what a crash leaves of them goes at the next start.
 */
export async function eraseApp(d: Daemon, app: { id: string }): Promise<void> {
  await within(d.clock, limits.buildEnd, endBuildOf(app.id))
  await d.engine.removeApp(app.id)
  await failpoint('erase.engine')
  await removeRepository(d, app.id)
  await failpoint('erase.repository')
  await d.registry.remove(app.id)
  await removeTranscripts(d, app.id)
  await failpoint('erase.transcripts')
  await removeCache(d, app.id)
  await failpoint('erase.cache')
  d.drains.endAll(app.id)
  await d.logs.remove(app.id)
  await failpoint('erase.logs')
  const releases = await d.db.selectFrom('releases').select('id').where('app_id', '=', app.id).execute()
  const slugs = await remainsOf(d.db, app.id)
  await forgetApp(d.db, app.id)
  await failpoint('erase.rows')
  // Who waits for one of them finds it gone.
  for (const { id } of releases) d.settlements.announce(id)
  for (const slug of slugs) await removeSlug(d, slug)
  d.log.info('app erased', { app: app.id })
}

async function removeTranscripts(d: Daemon, app: string): Promise<void> {
  const builds = await d.db.selectFrom('builds').select('id').where('app_id', '=', app).execute()
  const releases = await d.db.selectFrom('releases').select('id').where('app_id', '=', app).execute()
  for (const { id } of builds) await d.transcripts.remove(`build-${id}`)
  for (const { id } of releases) await d.transcripts.remove(`release-${id}`)
}
