import { execFile } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { hostEnvironment } from './config.ts'

/** Something may still be let go of, such as the mount of a container that has just ended. */
const ATTEMPTS = 5
const PAUSE = 100

/**
 * Removes what a user's code has made, or nothing. Not by Node: names of a path that is longer than the kernel takes it cannot remove, and a
 * million files would keep it busy; `rm` goes from folder to folder, at low priority and in a process of its own.
 */
export async function removeTree(path: string): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      await promisify(execFile)('nice', ['rm', '-rf', '--one-file-system', '--', path], { env: hostEnvironment() })
      return
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
      await pause(attempt * PAUSE)
    }
}
