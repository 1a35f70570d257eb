import { StringDecoder } from 'node:string_decoder'

/**
 * What may be shown on anybody's terminal: text, line feeds, tabs, carriage returns of progress bars, and colours. Buildpacks use no more on
 * Heroku either, and the rest moves the cursor over what others said, changes titles, or writes to the clipboard (OSC 52). Invalid UTF-8
 * becomes U+FFFD, as for every reader of the stored output.
 */
export interface Plain {
  /** The bytes that can be judged by now; what is cut in the middle is held. */
  push(chunk: string | Buffer): Buffer
  end(): Buffer
}

const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/
/** ECMA-48: a control sequence; a string, ended by BEL, ST or the line; another escape sequence; a control character. */
const SEQUENCE =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b[P\]X^_]|[\x90\x9d\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-Z\\`-~]?|[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g
const COLOUR = /^\x1b\[[0-9;:]*m$/
/** One of these at the end, not ended yet. */
const BEGUN =
  /(?:(?:\x1b\[|\x9b)[0-?]*[ -/]*|(?:\x1b[P\]X^_]|[\x90\x9d\x98\x9e\x9f])[^\x07\x1b\x9c\n]*\x1b?|\x1b[ -/]*)$/
/** A longer one is none. */
const LONGEST = 4096

/**
 * Nothing that begins earlier is open at the end: these end a string, ESC by beginning something else. From here on whatever begins a string is in
 * it to the end, so that nobody keeps the daemon busy with thousands of beginnings.
 */
const lastStart = (text: string): number =>
  Math.max(
    ...['\n', '\x07', '\x9c'].map((end) => text.lastIndexOf(end) + 1),
    text.lastIndexOf('\x1b', text.length - 2),
    text.length - LONGEST,
  )

export function createPlain(): Plain {
  const decoder = new StringDecoder('utf8')
  let held = ''
  const plain = (text: string): Buffer =>
    Buffer.from(CONTROL.test(text) ? text.replace(SEQUENCE, (found) => (COLOUR.test(found) ? found : '')) : text)
  return {
    push(chunk) {
      const text = held + (typeof chunk === 'string' ? decoder.end() + chunk : decoder.write(chunk))
      const begun = CONTROL.test(text) ? (BEGUN.exec(text.slice(lastStart(text)))?.[0].length ?? 0) : 0
      held = text.slice(text.length - begun)
      return plain(text.slice(0, text.length - begun))
    },
    end: () => plain(held + decoder.end()),
  }
}
