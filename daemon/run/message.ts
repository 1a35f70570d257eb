/**
 * `heroku run` looks at each message that it gets by itself. With -x it has the command print its exit code behind this: a marker that is
 * split over two messages is not found, and one with output before it in the same message is not at the start of a line. Without a
 * terminal it makes `\n` of `\r\n`, and does not when they come apart.
 */
const MARKER = Buffer.from('\uFFFF heroku-command-exit-status: ')
const LONGEST = MARKER.length + '255\r\n'.length
const NEWLINE = 0x0a
const RETURN = 0x0d
/** What fits into one TLS record (RFC 8446, 5.1), which is one message. */
const MESSAGE = 16 * 1024

export interface Messages {
  /** What may be sent now. */
  push(chunk: Buffer): Buffer[]
  /** What was held back, when nothing more comes. */
  end(): Buffer[]
}

/** Cuts output into messages for that client. Holds back no more than what may be the beginning of a marker, or half an end of line. */
export function createMessages(): Messages {
  let held = EMPTY
  const take = (): Buffer => {
    const bytes = held
    held = EMPTY
    return bytes
  }
  const push = (chunk: Buffer): Buffer[] => {
    const before = take()
    const bytes = before.length === 0 ? chunk : Buffer.concat([before, chunk])
    const start = markerIn(bytes)
    if (start === -1) {
      const end = bytes.at(-1) === RETURN ? bytes.length - 1 : bytes.length
      held = Buffer.from(bytes.subarray(end))
      return pieces(bytes.subarray(0, end))
    }
    const newline = bytes.indexOf(NEWLINE, start)
    if (newline === -1) {
      held = Buffer.from(bytes.subarray(start))
      return pieces(bytes.subarray(0, start))
    }
    const rest = bytes.subarray(newline + 1)
    return [...pieces(bytes.subarray(0, start)), bytes.subarray(start, newline + 1), ...push(rest)]
  }
  return { push, end: () => pieces(take()) }
}

const EMPTY: Buffer = Buffer.alloc(0)

function pieces(bytes: Buffer): Buffer[] {
  const list: Buffer[] = []
  for (let from = 0; from < bytes.length; ) {
    const full = Math.min(bytes.length, from + MESSAGE)
    const to = full < bytes.length && bytes[full - 1] === RETURN ? full - 1 : full
    list.push(bytes.subarray(from, to))
    from = to
  }
  return list
}

/** Where a marker begins, or something that may yet become one; -1 when there is none. */
function markerIn(bytes: Buffer): number {
  for (let at = bytes.indexOf(MARKER[0] ?? 0); at !== -1; at = bytes.indexOf(MARKER[0] ?? 0, at + 1)) {
    const there = bytes.subarray(at, at + MARKER.length)
    if (!MARKER.subarray(0, there.length).equals(there)) continue
    if (bytes.indexOf(NEWLINE, at) !== -1 || bytes.length - at <= LONGEST) return at
  }
  return -1
}
