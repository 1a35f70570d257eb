import { type Fields, Malformed, parseFields } from './fields.ts'
import { type BodyLength, headEnd } from './head.ts'
import { fieldLines } from './headers.ts'
import type { Limits } from './limits.ts'
import { SENSITIVE } from './names.ts'

/**
 * Where a body ends. `feed` hands on what is surely part of it and returns how many bytes it used; the caller keeps the rest and
 * brings it again with more behind it.
 */
export interface Body {
  state: 'more' | 'done' | 'bad'
  /** Of a chunked body that is done, without those that would change what the head has said (RFC 9110 6.5.1). */
  readonly trailers: Fields
  feed(input: Buffer, sink: (piece: Buffer | string) => void): number
  /** Nothing comes any more; a body whose end that is not stays open. */
  end(trailers: Fields, sink: (piece: Buffer | string) => void): void
}

/** `decode` hands on the data without the chunks' frames, for those who do not know chunks. */
export function createBody(length: BodyLength, limits: Limits, decode = false): Body {
  if (length === 'chunked') return new ChunkedBody(limits, decode)
  if (length === 'ended') return new EndedBody()
  if (length === 0) return empty
  return new CountedBody(length === 'close' ? Number.POSITIVE_INFINITY : length)
}

const none: Fields = []

class CountedBody implements Body {
  state: Body['state']
  readonly trailers = none
  private left: number

  constructor(length: number) {
    this.left = length
    this.state = length === 0 ? 'done' : 'more'
  }

  feed(input: Buffer, sink: (piece: Buffer) => void): number {
    const used = Math.min(this.left, input.length)
    this.left -= used
    if (this.left === 0) this.state = 'done'
    if (used > 0) sink(used === input.length ? input : input.subarray(0, used))
    return used
  }

  end(): void {}
}

/** One for all, since it never changes. */
const empty = new CountedBody(0)

/** Puts the frames of chunks around what comes without any. */
class EndedBody implements Body {
  state: Body['state'] = 'more'
  readonly trailers = none

  /** An empty chunk would be the last one. */
  feed(input: Buffer, sink: (piece: Buffer | string) => void): number {
    if (input.length === 0) return 0
    sink(`${input.length.toString(16)}\r\n`)
    sink(input)
    sink('\r\n')
    return input.length
  }

  end(trailers: Fields, sink: (piece: string) => void): void {
    this.state = 'done'
    sink(`0\r\n${fieldLines(harmless(trailers))}\r\n`)
  }
}

function harmless(trailers: Fields): Fields {
  const fields: Fields = []
  for (let i = 0; i < trailers.length; i += 3) {
    const [name = '', given = '', value = ''] = trailers.slice(i, i + 3)
    if (!SENSITIVE.has(name.replaceAll('_', '-'))) fields.push(name, given, value)
  }
  return fields
}

/** A size and its extensions (RFC 9112 7.1.1), without the blanks between them that only obsolete senders write. */
const SIZE_LINE =
  /^([0-9A-Fa-f]{1,12})((?:;[\w!#$%&'*+.^`|~-]+(?:=(?:[\w!#$%&'*+.^`|~-]+|"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)*)$/

/**
 *   size --size line, n > 0--> data --n bytes--> end --CRLF--> size
 *   size --size line, n = 0--> trailers --blank line--> done         anything else --> bad
 *
 * The last chunk is handed on only when the trailers are known to be good: a bad body never looks complete to its receiver.
 */
class ChunkedBody implements Body {
  state: Body['state'] = 'more'
  trailers = none
  private part: 'size' | 'data' | 'end' | 'trailers' = 'size'
  private left = 0
  /** Bytes of extensions above those of the data: who sends only extensions is stopped (CVE-2023-39326). */
  private excess = 0
  private readonly limits: Limits
  private readonly decode: boolean

  constructor(limits: Limits, decode: boolean) {
    this.limits = limits
    this.decode = decode
  }

  feed(input: Buffer, sink: (piece: Buffer | string) => void): number {
    let at = 0
    let framed = 0
    for (;;) {
      const before = at
      const part = this.part
      at = this.step(input, at)
      if (this.decode && part === 'data' && at > before) sink(input.subarray(before, at))
      if (this.part === 'trailers' || this.state !== 'more') break
      framed = at
      if (at === before && this.part === part) break
    }
    if (!this.decode && framed > 0) sink(input.subarray(0, framed))
    if (this.part === 'trailers' && this.state === 'more') at = this.endOfTrailers(input, at, sink)
    return at
  }

  private step(input: Buffer, at: number): number {
    switch (this.part) {
      case 'size':
        return this.sizeLine(input, at)
      case 'data': {
        const used = Math.min(this.left, input.length - at)
        this.left -= used
        if (this.left === 0) this.part = 'end'
        return at + used
      }
      case 'end':
        if (input.length - at < 2) {
          if (input.length > at && input[at] !== 13) this.state = 'bad'
          return at
        }
        if (input[at] !== 13 || input[at + 1] !== 10) this.state = 'bad'
        else this.part = 'size'
        return at + 2
      case 'trailers':
        return at
      default:
        return this.part satisfies never
    }
  }

  private sizeLine(input: Buffer, at: number): number {
    const end = input.indexOf(10, at)
    if (end === -1) {
      if (input.length - at > this.limits.chunkExtension + 14) this.state = 'bad'
      return at
    }
    const size = input[end - 1] === 13 && end > at ? SIZE_LINE.exec(input.toString('latin1', at, end - 1)) : null
    this.left = Number.parseInt(size?.[1] ?? '', 16)
    const extension = size?.[2]?.length ?? 0
    this.excess = Math.max(0, this.excess + extension - this.left)
    const { chunkExtension, chunkExtensions } = this.limits
    if (size === null || extension > chunkExtension || this.excess > chunkExtensions) {
      this.state = 'bad'
      return at
    }
    this.part = this.left === 0 ? 'trailers' : 'data'
    return end + 1
  }

  private endOfTrailers(input: Buffer, at: number, sink: (piece: string) => void): number {
    const empty = input[at] === 13 && input[at + 1] === 10
    const end = empty ? at + 2 : headEnd(input.subarray(at), 0) + at
    if (end < at) {
      if (end === at - 2 || input.length - at > this.limits.trailers) this.state = 'bad'
      return at
    }
    const trailers = empty ? none : this.parse(input.toString('latin1', at, end))
    if (trailers === undefined || end - at > this.limits.trailers) {
      this.state = 'bad'
      return at
    }
    this.state = 'done'
    this.trailers = harmless(trailers)
    if (!this.decode) sink(`0\r\n${fieldLines(this.trailers)}\r\n`)
    return end
  }

  end(): void {}

  private parse(text: string): Fields | undefined {
    try {
      const { headerLine, headerName, headers } = this.limits
      return parseFields(text, 0, { line: headerLine, name: headerName, count: headers })
    } catch (error) {
      if (error instanceof Malformed) return undefined
      throw error
    }
  }
}
