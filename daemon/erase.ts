import { forgetApp } from './app/app.ts'
import { removeCache } from './build/cache.ts'
import { removeSlugs } from './build/slug.ts'
import type { Daemon } from './daemon.ts'
import { removeRepository } from './git/git.ts'

/**
 * Ends an app that has no dynos left: everything that it has on disk and in the engine goes, its rows last. Safe to repeat, so a
 * crash in the middle leaves an app that is destroyed a little more at the next look.
 */
export async function eraseApp(d: Daemon, app: { id: string }): Promise<void> {
  await d.engine.removeApp(app.id)
  await removeRepository(d, app.id)
  await removeTranscripts(d, app.id)
  await removeSlugs(d, app.id)
  await removeCache(d, app.id)
  d.drains.endAll(app.id)
  await d.logs.remove(app.id)
  const releases = await d.db.selectFrom('releases').select('id').where('app_id', '=', app.id).execute()
  await forgetApp(d.db, app.id)
  // Who waits for one of them finds it gone.
  for (const { id } of releases) d.settlements.announce(id)
  d.log.info('app erased', { app: app.id })
}

async function removeTranscripts(d: Daemon, app: string): Promise<void> {
  const builds = await d.db.selectFrom('builds').select('id').where('app_id', '=', app).execute()
  const releases = await d.db.selectFrom('releases').select('id').where('app_id', '=', app).execute()
  for (const { id } of builds) await d.transcripts.remove(`build-${id}`)
  for (const { id } of releases) await d.transcripts.remove(`release-${id}`)
}
