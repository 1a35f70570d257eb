import { statfs } from 'node:fs/promises'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { run } from './command.ts'
import { formatSize } from './output.ts'

export interface DiskBound {
  /** Aborts, with a UserError as its reason, when too much is used or too little is left. */
  signal: AbortSignal
  stop(): void
}

const FREE_EVERY = 500
const USED_EVERY = 5000

/** Throws a UserError when less than the reserve would be free after `more` bytes: what is not begun need not be stopped. */
export async function requireRoom(folder: string, more = 0): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize - more < limits.diskReserve) throw full()
}

/**
 * Watches the disk while a user's code may write to `watched`. Free space of `folder`'s file system is cheap to ask and protects the
 * other apps, so it is asked often; what is used means a walk over all files, so that is asked seldom and at low priority.
 */
export function boundDisk(
  folder: string,
  { most, watched, every = USED_EVERY }: { most: number; watched: string; every?: number },
): DiskBound {
  const beyond = new AbortController()
  let walking = false
  const free = setInterval(() => {
    statfs(folder).then(
      ({ bavail, bsize }) => bavail * bsize < limits.diskReserve && beyond.abort(full()),
      (error) => beyond.abort(error),
    )
  }, FREE_EVERY)
  const used = setInterval(() => {
    if (walking) return
    walking = true
    // Files come and go while du walks, which it complains about; the sum that it prints counts all the same.
    run('nice', ['du', '-sk', watched], { anyExit: true, signal: beyond.signal })
      .then((text) => Number.parseInt(text, 10) * 1024 > most && beyond.abort(tooMuch(most)))
      .catch(() => {})
      .finally(() => {
        walking = false
      })
  }, every)
  return {
    signal: beyond.signal,
    stop() {
      clearInterval(free)
      clearInterval(used)
    },
  }
}

export const full = () =>
  new UserError(
    'internal_server_error',
    'The disk of this host is almost full, so nothing can be built. Free some space and push again.',
  )

const tooMuch = (most: number) =>
  new UserError('invalid_params', `The build needs more than ${formatSize(most)} of disk, so it was stopped.`)
