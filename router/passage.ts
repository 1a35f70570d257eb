import type { Cursor, Fields } from './fields.ts'
import { DROPPED_FROM_REQUEST, DROPPED_FROM_RESPONSE, isAlias, KEPT } from './names.ts'

/** What of a head goes on to the other side as it is, and what of it our own fields append to. Pure. */
export interface Passage {
  /** Field lines. */
  lines: string
  /** What our own value is appended to: empty, or ends with a comma. */
  via: string
  forwarded: string
  /** The first. */
  requestId: string | undefined
}

/**
 * By the rules, field by field: gone are those that end at each hop, those that `Connection` names, those that are ours to say, and, from
 * a request, what CGI-like servers would take for one of them.
 */
export function passageOf(fields: Fields, connection: readonly string[], side: 'request' | 'response'): Passage {
  const passage: Passage = { lines: '', via: '', forwarded: '', requestId: undefined }
  const dropped = side === 'request' ? DROPPED_FROM_REQUEST : DROPPED_FROM_RESPONSE
  for (let i = 0; i < fields.length; i += 3) {
    const [name, value] = [fields[i] ?? '', fields[i + 2] ?? '']
    append(passage, name, value)
    if (!goesOn(dropped, connection, name)) continue
    if (side === 'request' && isAlias(name)) continue
    passage.lines += `${fields[i + 1]}: ${value}\r\n`
  }
  return passage
}

const goesOn = (dropped: ReadonlySet<string>, connection: readonly string[], name: string): boolean =>
  !dropped.has(name) && (KEPT.has(name) || !connection.includes(name))

/** True for a response's field that is not only between the dyno and us; `via` is written anew. */
export const passesBack = (connection: readonly string[], name: string): boolean =>
  goesOn(DROPPED_FROM_RESPONSE, connection, name)

function append(passage: Passage, name: string, value: string): void {
  if (name === 'via') passage.via += `${value}, `
  else if (name === 'x-forwarded-for') passage.forwarded += `${value}, `
  else if (name === 'x-request-id') passage.requestId ??= value
}

/** The same while a head is being read, in runs of its text: only where a line is dropped, or not written as we write it, it is cut. */
export class Cutter implements Passage {
  lines = ''
  via = ''
  forwarded = ''
  requestId: string | undefined
  private from: number

  constructor(from: number) {
    this.from = from
  }

  /** Takes the line that the cursor is on. */
  take(cursor: Cursor, text: string, side: 'request' | 'response'): void {
    const { name } = cursor
    if (name !== undefined && (side === 'request' ? name.droppedFromRequest : name.droppedFromResponse)) {
      append(this, name.text, cursor.value())
      this.cut(text, cursor)
    } else if (cursor.underscored && side === 'request' && isAlias(cursor.given().toLowerCase())) this.cut(text, cursor)
    else if (!cursor.plain) {
      this.cut(text, cursor)
      this.lines += `${cursor.given()}: ${cursor.value()}\r\n`
    }
  }

  /** The lines end here. */
  finish(text: string, end: number): void {
    this.lines = this.lines === '' ? text.slice(this.from, end) : this.lines + text.slice(this.from, end)
  }

  private cut(text: string, { start, next }: Cursor): void {
    if (start > this.from) this.lines += text.slice(this.from, start)
    this.from = next
  }
}
