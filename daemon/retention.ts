import { forgetActivities } from './account/activity.ts'
import { forgetAuthorizations } from './account/authorization.ts'
import { forgetBuilds } from './build/build.ts'
import type { Daemon } from './daemon.ts'
import { messageOf } from './errors.ts'
import { limits } from './limits.ts'
import { forgetReleases } from './release/release.ts'
import { compact } from './store/database.ts'

/** Deletes at most `limits.forgottenAtOnce` rows, and says how many: it is asked again until there are none. Safe to repeat after a crash. */
type Rule = (d: Daemon) => Promise<number>
type AppRule = (d: Daemon, app: string) => Promise<number>

const AT_ONCE = limits.forgottenAtOnce
const ago = (d: Daemon, time: number): number => d.clock.now() - time

/** What would grow without bound, and how much of it is kept. A table that grows gets its rule here. */
const rules: Record<string, Rule> = {
  authorizations: (d) => forgetAuthorizations(d.db, ago(d, limits.authorizationsKept), AT_ONCE),
  activities: (d) => forgetActivities(d.db, ago(d, limits.activitiesKept), AT_ONCE),
}

/** The same for each app. Builds come first, because they hold on to their releases. */
const appRules: Record<string, AppRule> = {
  builds: (d, app) => forgetBuilds(d, app, limits.buildsKept, AT_ONCE),
  releases: (d, app) => forgetReleases(d, app, limits.releasesKept, AT_ONCE),
}

/** Forgets now and every day what is too old, in steps so small that nobody waits for them. Nothing is lost when it is interrupted. */
export function startRetention(d: Daemon): { close(): Promise<void> } {
  const stopping = new AbortController()
  let cancel = (): void => {}
  let running: Promise<void> = Promise.resolve()
  const look = (): void => {
    running = forgetOld(d, stopping.signal).then(() => {
      if (!stopping.signal.aborted) cancel = d.clock.at(d.clock.now() + limits.retentionEvery, look)
    })
  }
  look()
  return {
    async close() {
      stopping.abort()
      cancel()
      await running
    },
  }
}

/** One look. A rule that fails is told and leaves the others alone. */
export async function forgetOld(d: Daemon, signal: AbortSignal): Promise<void> {
  const forgotten: Record<string, number> = {}
  const all = async (what: string, some: () => Promise<number>): Promise<void> => {
    try {
      for (let count: number = AT_ONCE; count > 0 && !signal.aborted; ) {
        count = await some()
        forgotten[what] = (forgotten[what] ?? 0) + count
      }
    } catch (error) {
      d.log.error('what is too old could not be forgotten', { what, error: messageOf(error) })
    }
  }
  for (const [what, rule] of Object.entries(rules)) await all(what, () => rule(d))
  for (const { id } of await d.db.selectFrom('apps').select('id').where('destroyed_at', 'is', null).execute())
    for (const [what, rule] of Object.entries(appRules)) await all(what, () => rule(d, id))
  await compact(d.db, limits.databaseSlack).then(
    (did) => did && d.log.info('the database gave unused pages back'),
    (error: unknown) => d.log.error('the database could not give unused pages back', { error: messageOf(error) }),
  )
  if (Object.values(forgotten).some((count) => count > 0)) d.log.info('forgot what is too old', forgotten)
}
