import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'

/** A router that has been connected once. */
export interface KnownRouter {
  /** Its own, the same after it has restarted. */
  id: string
  host: string
  /** From where it connected the last time. */
  address: string
  workers: number
  /** Version of the table that it follows, or did when it was seen last. */
  applied: number
  /** Changes wait for it: it is connected, or was a moment ago and has not said that it stops. */
  mayServe: boolean
  /** ms since the epoch */
  firstSeen: number
  lastSeen: number
}

/**
 * The routers that this daemon has known, so that one that is partitioned away is told apart from one that has never been, after a restart
 * too: they are in a file, which is the old one or the new one, whole. What is lost with the last seconds before a crash is told anew by the
 * routers that connect; that a router was heard, and nothing else, is written once a minute.
 */
export interface Register {
  list(): KnownRouter[]
  connected(router: Omit<KnownRouter, 'mayServe' | 'firstSeen' | 'lastSeen'>, now: number): void
  /** Nothing when it is not known. */
  heard(id: string, what: { applied: number; now: number }): void
  /** Nothing waits for it any more; nothing when it is not known. */
  lost(id: string): void
  /** False when it is not known. */
  forget(id: string): boolean
  close(): Promise<void>
}

/** Without a file it ends with the process. */
export function openRegister(file: string | undefined, { log, clock }: { log: Log; clock: Clock }): Register {
  const routers = file === undefined ? new Map<string, KnownRouter>() : read(file, log)
  let due: { at: number; cancel(): void } | undefined
  let writing = Promise.resolve()

  const store = async (): Promise<void> => {
    if (file === undefined) return
    try {
      await writeFile(`${file}.new`, JSON.stringify([...routers.values()]), { mode: 0o600, flush: true })
      await rename(`${file}.new`, file)
    } catch (error) {
      log.error('the known routers could not be stored', { error: messageOf(error) })
    }
  }
  const flush = (): Promise<void> => {
    due?.cancel()
    due = undefined
    writing = writing.then(store)
    return writing
  }
  const within = (ms: number): void => {
    const at = clock.now() + ms
    if (file === undefined || (due !== undefined && due.at <= at)) return
    due?.cancel()
    due = { at, cancel: clock.at(at, flush) }
  }

  return {
    list: () => [...routers.values()],
    connected(router, now) {
      const { firstSeen = now, mayServe = false } = routers.get(router.id) ?? {}
      routers.delete(router.id)
      const [oldest] = [...routers.values()].sort((a, b) => a.lastSeen - b.lastSeen)
      if (oldest !== undefined && routers.size >= limits.knownRouters) routers.delete(oldest.id)
      routers.set(router.id, { ...router, mayServe: true, firstSeen, lastSeen: now })
      within(mayServe ? limits.registerChanged : 0)
    },
    heard(id, { applied, now }) {
      const router = routers.get(id)
      if (router === undefined) return
      within(router.applied === applied ? limits.registerSeen : limits.registerChanged)
      router.lastSeen = now
      router.applied = applied
    },
    lost(id) {
      const router = routers.get(id)
      if (router === undefined) return
      router.mayServe = false
      within(limits.registerChanged)
    },
    forget(id) {
      const known = routers.delete(id)
      if (known) within(limits.registerChanged)
      return known
    },
    close: flush,
  }
}

function read(file: string, log: Log): Map<string, KnownRouter> {
  try {
    const list: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (!Array.isArray(list) || !list.every(isKnown)) throw new Error('not a list of routers')
    // an older daemon did not say
    return new Map(list.map((router) => [router.id, { ...router, mayServe: router.mayServe !== false }]))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.error('the known routers could not be read; the list begins anew', { error: messageOf(error) })
    return new Map()
  }
}

function isKnown(value: unknown): value is KnownRouter {
  const { id, host, address, ...numbers } = (value ?? {}) as KnownRouter
  const { workers, applied, firstSeen, lastSeen } = numbers
  return (
    [id, host, address].every((text) => typeof text === 'string') &&
    [workers, applied, firstSeen, lastSeen].every((number) => Number.isSafeInteger(number))
  )
}
