import { Refusal } from './client.ts'

/** What a client of the platform does, again and again, under the eyes of a test that strikes the daemon meanwhile. */
export interface Operation {
  /** Makes what it is done to, where that is gone afterwards; before anything is struck. */
  ready?(): Promise<void>
  /** Does it once more. Resolves when the client has been told what came of it; that is never an exception. */
  perform(): Promise<Told>
  /** Whether what was asked for last is in effect, on a platform at rest. Throws when neither that nor what was before is. */
  inEffect(): Promise<boolean>
}

/** `done`: it was acknowledged, and so must last. Otherwise it was refused in `words`, or the connection broke. */
export interface Told {
  done: boolean
  words: string
}

export const done: Told = { done: true, words: '' }
export const refused = (words: string): Told => ({ done: false, words })

/** What the client of requests to the API is told. */
export const telling = (asked: Promise<unknown>): Promise<Told> =>
  asked.then(
    () => done,
    (error: Error) => refused(error instanceof Refusal ? error.message : ''),
  )

/** Which of two is there. Throws for anything else. */
export function either<Value>(seen: Value, { after, before }: { after: Value; before: Value }): boolean {
  if (seen === after) return true
  if (seen === before) return false
  throw new Error(`there is ${String(seen)}, neither ${String(after)} nor ${String(before)}`)
}
