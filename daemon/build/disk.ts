import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type Space, spaceOf } from '../space.ts'
import { run } from './command.ts'
import { formatSize } from './output.ts'

export interface DiskBound {
  /** Aborts, with a UserError as its reason, when too much is used or too little is left. */
  signal: AbortSignal
  stop(): void
}

/** Throws a UserError when less than the reserve would be free after `more` bytes: what is not begun need not be stopped. */
export async function requireRoom(folder: string, more = 0): Promise<void> {
  if (isShort(await spaceOf(folder), more)) throw full()
}

const isShort = ({ free, files }: Space, more = 0): boolean =>
  free - more < limits.diskReserve || files < limits.filesReserve

interface Bound {
  most: number
  files?: number
  watched: string
  /** Has what can go removed long before the disk is as short as to end a build. */
  makeRoom?: () => Promise<void>
}

/**
 * Watches the disk while a user's code may write to `watched`. Free space of `folder`'s file system is cheap to ask and protects the
 * other apps, so it is asked often; what is used means a walk over all files, so that is asked seldom.
 */
export function boundDisk(folder: string, { most, files = limits.buildFiles, watched, makeRoom }: Bound): DiskBound {
  const beyond = new AbortController()
  let walking = false
  const free = setInterval(() => {
    spaceOf(folder).then(
      (space) => isShort(space) && beyond.abort(full()),
      (error) => beyond.abort(error),
    )
  }, limits.diskFreeEvery)
  const used = setInterval(() => {
    void makeRoom?.()
    if (walking) return
    walking = true
    // Files come and go while du walks, which it complains about; the sum that it prints counts all the same.
    const du = async (...options: string[]): Promise<number> =>
      Number.parseInt(await run('du', ['-s', ...options, watched], { anyExit: true, signal: beyond.signal }), 10)
    const look = async (): Promise<void> => {
      if ((await du('-k')) * 1024 > most) beyond.abort(tooMuch(`${formatSize(most)} of disk`))
      // An empty file takes no block, and file systems have only so many.
      if ((await du('--inodes')) > files) beyond.abort(tooMuch(`${files.toLocaleString('en')} files`))
    }
    look()
      .catch(() => {})
      .finally(() => {
        walking = false
      })
  }, limits.diskUsedEvery)
  return {
    signal: beyond.signal,
    stop() {
      clearInterval(free)
      clearInterval(used)
    },
  }
}

/** Does what has the engine fetch an image, whose size unpacked nobody knows: it is ended, by its signal, when too little is left. */
export async function withRoom<T>(
  { space }: { space(): Promise<Space> },
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if ((await space()).free < limits.diskReserve) throw full()
  const beyond = new AbortController()
  const timer = setInterval(() => {
    // What cannot be measured now is measured the next time.
    space().then(
      ({ free }) => free < limits.diskReserve && beyond.abort(full()),
      () => {},
    )
  }, limits.diskFreeEvery)
  try {
    return await work(AbortSignal.any([signal, beyond.signal]))
  } finally {
    clearInterval(timer)
  }
}

export const full = () =>
  new UserError(
    'internal_server_error',
    'The disk of this host is almost full, so nothing can be built. Free some space and push again.',
  )

export const tooMuch = (most: string) =>
  new UserError('invalid_params', `The build needs more than ${most}, so it was stopped.`)
