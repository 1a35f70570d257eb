import { run } from '../build/command.ts'
import type { Daemon } from '../daemon.ts'
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
    const settings = BOUNDS.flatMap((setting) => ['-c', setting])
    await run(
      'nice',
      ['-n', '19', 'git', ...settings, '--git-dir', repositoryPath(d.config.data, app), 'gc', '--auto', '--quiet'],
      {
        env: gitEnvironment(),
      },
    ).catch((error: unknown) => d.log.warn('a repository was not repacked', { app, error }))
  }
}
