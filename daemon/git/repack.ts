import { run } from '../build/command.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import { gitEnvironment, repositoryPath } from './repository.ts'

/** Pushes that are under way, by app. */
const pushing = new Map<string, number>()
/** Apps whose repositories were pushed to since they were looked at. */
const due = new Set<string>()

/** While it goes on, the app's repository is not repacked; it is looked at later. */
export async function asPush(app: string, work: () => Promise<void>): Promise<void> {
  due.add(app)
  pushing.set(app, (pushing.get(app) ?? 0) + 1)
  try {
    await work()
  } finally {
    const left = (pushing.get(app) ?? 1) - 1
    if (left === 0) pushing.delete(app)
    else pushing.set(app, left)
  }
}

/**
 * So many loose objects or packs come together before git packs them (https://git-scm.com/docs/git-gc#Documentation/git-gc.txt---auto), with
 * one core and little memory. What no branch names goes after git's two weeks, so that a push that begins meanwhile loses nothing.
 */
const BOUNDS = ['gc.auto=500', 'gc.autoPackLimit=20', 'gc.autoDetach=false', 'pack.threads=1', 'pack.windowMemory=64m']

/** Every hour, one repository after the other, at low priority; git says which have anything to pack. */
export async function repackRepositories(d: Pick<Daemon, 'config' | 'log'>, signal: AbortSignal): Promise<void> {
  for (const app of due) {
    if (signal.aborted) return
    if (pushing.has(app)) continue
    due.delete(app)
    await repack(d, app, signal).catch((error: unknown) => {
      if (!signal.aborted) d.log.warn('a repository was not repacked', { app, error })
    })
  }
}

/** All of git's processes end with `timeout` (https://www.gnu.org/software/coreutils/timeout), and git takes away what it has begun. */
async function repack(d: Pick<Daemon, 'config'>, app: string, signal: AbortSignal): Promise<void> {
  const settings = BOUNDS.flatMap((setting) => ['-c', setting])
  const git = ['git', ...settings, '--git-dir', repositoryPath(d.config.data, app), 'gc', '--auto', '--quiet']
  const bounded = ['--kill-after=10', `${limits.repack / 1000}`, 'nice', '-n', '19', ...git]
  const late = `git took longer than ${limits.repack / 60_000} minutes, and is asked again after the next push`
  await run('timeout', bounded, { env: gitEnvironment(), signal, killSignal: 'SIGTERM' }).catch((error: unknown) => {
    throw TIMED_OUT.test(messageOf(error)) ? new Error(late, { cause: error }) : error
  })
}

/** The second when it had to be killed. */
const TIMED_OUT = /^timeout ended with (124|137)\b/
