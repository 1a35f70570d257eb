import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { asUserError } from '../build/refusal.ts'
import type { Daemon } from '../daemon.ts'
import { isDiskFull, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { letGo } from './capture.ts'
import { BackupError } from './fault.ts'
import { makeBackup, type Progress } from './make.ts'
import { type Backup, prune, sweepParts } from './shelf.ts'

/**
 * Backups of the whole platform: one at a time, when somebody asks or when one is due.
 *
 *   idle -- make, or SLUICE_BACKUP_EVERY since the last one (an hour, when that failed) --> making -- done, or failed --> idle
 *
 * What came of the last one is in the file `backup.json`, so that a restart neither forgets a failure nor puts the next one off.
 */
export interface Backups {
  /** Makes one; throws a UserError, a conflict while another is being made. It goes on when who has asked goes away. */
  make(tell?: (progress: Progress) => void): Promise<Backup>
  /** How far the one is that is being made. */
  readonly making: Progress | undefined
  /** What came of the last one, after `start`; undefined before the first. */
  readonly last: Last | undefined
  /** At start: removes what a crash has left, and makes them when they are due from now on. */
  start(): Promise<void>
  close(): Promise<void>
}

const Last = z.object({
  /** When it ended, ms. */
  at: z.number(),
  name: z.string().nullable(),
  /** Why there is none, for people. */
  failure: z.string().nullable(),
})
export type Last = z.output<typeof Last>

type Make = typeof makeBackup

interface Making {
  progress: Progress
  end: Promise<unknown>
}

/** `daemon` is asked for when there is one. */
export function createBackups(daemon: () => Daemon, makeOne: Make = makeBackup): Backups {
  const stopping = new AbortController()
  let making: Making | undefined
  let last: Last | undefined
  let cancel = (): void => {}

  const ended = async (d: Daemon, how: Omit<Last, 'at'>): Promise<void> => {
    last = { at: d.clock.now(), ...how }
    const path = join(d.config.data, FILE)
    await writeFile(`${path}.new`, JSON.stringify(last), { mode: 0o600, flush: true })
      .then(() => rename(`${path}.new`, path))
      .catch((error: unknown) => d.log.warn('what came of a backup was not stored', { error }))
  }
  const perform = async (d: Daemon, tell: (progress: Progress) => void): Promise<Backup> => {
    const began = d.clock.now()
    try {
      const backup = await makeOne(d, tell, stopping.signal)
      d.log.info('a backup was made', { name: backup.name, bytes: backup.size, took: d.clock.now() - began })
      await ended(d, { name: backup.name, failure: null })
      const deleted = await prune(d.config)
      if (deleted.length > 0) d.log.info('old backups were deleted', { deleted })
      return backup
    } catch (error) {
      const told = refusalOf(error)
      if (stopping.signal.aborted) throw told
      d.log.error('a backup was not made', { error })
      await ended(d, { name: null, failure: told.message })
      throw told
    }
  }
  const make = (tell: (progress: Progress) => void = () => {}): Promise<Backup> => {
    if (making) throw new UserError('conflict', 'A backup is being made already. Wait for its end: sluice backups')
    const work: Making = { progress: { done: 0, of: 0 }, end: Promise.resolve() }
    making = work
    const made = perform(daemon(), (progress) => {
      work.progress = progress
      tell(progress)
    }).finally(() => {
      making = undefined
    })
    work.end = made.catch(() => {})
    return made
  }
  const arm = (): void => {
    const { clock, config } = daemon()
    const { every } = config.backups
    if (every === undefined || stopping.signal.aborted) return
    const pause = last?.failure == null ? every : Math.min(every, limits.backupAgain)
    cancel = clock.at(Math.max(clock.now(), last === undefined ? 0 : last.at + pause), () => void due())
  }
  const due = async (): Promise<void> => {
    // One that somebody else wished is as good.
    await (making?.end ?? make().catch(() => {}))
    arm()
  }
  return {
    make: async (tell) => make(tell),
    get making() {
      return making?.progress
    },
    get last() {
      return last
    },
    async start() {
      await letGo(daemon())
      await sweepParts(daemon().config)
      last = await readLast(daemon())
      arm()
    },
    async close() {
      stopping.abort(new UserError('maintenance', 'The platform is stopping. Make the backup again when it is back.'))
      cancel()
      await making?.end
    },
  }
}

const FILE = 'backup.json'

function refusalOf(error: unknown): UserError {
  if (error instanceof BackupError) return new UserError('invalid_params', error.message)
  if (!isDiskFull(error)) return asUserError(error)
  const words = 'The disk of this host is full, so no backup was made. Free some space (sluice disk), and try again.'
  return new UserError('internal_server_error', words, { cause: error })
}

async function readLast(d: Daemon): Promise<Last | undefined> {
  const text = await readFile(join(d.config.data, FILE), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return Last.parse(JSON.parse(text))
  } catch (error) {
    d.log.warn('what came of the last backup cannot be read', { error })
    return undefined
  }
}
