import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Log } from '../../log.ts'
import type { Place } from './batch.ts'

/**
 * How far each drain has got, in one small file that appears whole or not at all, written at most every `limits.drainProgress` ms and
 * when the daemon stops. After a crash drains go on from the last one written, so that some lines come twice and none is missing.
 */
export interface Progress {
  of(drain: string): Place | undefined
  note(drain: string, place: Place): void
  forget(drain: string): void
  close(): Promise<void>
}

export function openProgress(data: string, log: Log): Progress {
  const file = join(data, 'drains.json')
  const places = read(file, log)
  let changed = false
  let timer: NodeJS.Timeout | undefined
  let writing = Promise.resolve()

  const store = async (): Promise<void> => {
    if (!changed) return
    changed = false
    try {
      await writeFile(`${file}.new`, JSON.stringify(Object.fromEntries(places)), { mode: 0o600, flush: true })
      await rename(`${file}.new`, file)
    } catch (error) {
      log.error('how far drains have got could not be stored', { error })
    }
  }
  const flush = (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    writing = writing.then(store)
    return writing
  }
  const touch = (): void => {
    changed = true
    timer ??= setTimeout(flush, limits.drainProgress)
  }

  return {
    of: (drain) => places.get(drain),
    note(drain, place) {
      places.set(drain, place)
      touch()
    },
    forget(drain) {
      if (places.delete(drain)) touch()
    },
    close: flush,
  }
}

function read(file: string, log: Log): Map<string, Place> {
  try {
    return new Map(Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, Place>))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT'))
      log.error('drains go on from now: how far they have got cannot be read', { file, error: messageOf(error) })
    return new Map()
  }
}
