import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Process, Terminal } from '../engine/engine.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'

/** What a client that brings the secret gets: a process of a dyno, with its input and output in the client's hands. */
export interface Meeting {
  app: string
  /** Name of the dyno. */
  dyno: string
  /** `undefined` when the client is the first to tell; otherwise what was decided when the dyno was asked for. */
  terminal: Terminal | undefined
  /** Rejects with UserError or EngineError when the process cannot be had. */
  open(terminal: Terminal): Promise<Process>
  /** Nobody came in time. */
  missed(): void
}

/**
 * Secrets that are good for one client and `limits.rendezvous` ms. They are in memory only, as hashes: a meeting does not outlive the
 * daemon.
 */
export interface Rendezvous {
  /** The secret: 64 lower-case hexadecimal digits, which cannot begin an HTTP request. Throws UserError when too many are out. */
  invite(meeting: Meeting): string
  /** The meeting, once. */
  claim(secret: string): Meeting | undefined
  /** Nobody is waited for any more. */
  close(): void
}

export const SECRET_LENGTH = 64

export function createRendezvous(clock: Clock): Rendezvous {
  const meetings = new Map<string, { meeting: Meeting; cancel: () => void }>()
  return {
    invite(meeting) {
      let waiting = 0
      for (const { meeting: other } of meetings.values()) if (other.app === meeting.app) waiting++
      if (waiting >= limits.meetingsPerApp)
        throw new UserError('rate_limit', `${waiting} commands wait for their clients already. Try again in a minute.`)
      const secret = randomBytes(SECRET_LENGTH / 2).toString('hex')
      const key = hash(secret)
      const cancel = clock.at(clock.now() + limits.rendezvous, () => {
        if (meetings.delete(key)) meeting.missed()
      })
      meetings.set(key, { meeting, cancel })
      return secret
    },
    claim(secret) {
      const key = hash(secret)
      const found = meetings.get(key)
      if (!found) return undefined
      found.cancel()
      meetings.delete(key)
      return found.meeting
    },
    close() {
      for (const { cancel } of meetings.values()) cancel()
      meetings.clear()
    },
  }
}

/** Looked up by hash, so that the time of a lookup tells nothing about secrets. */
const hash = (secret: string): string => createHash('sha256').update(secret).digest('hex')
