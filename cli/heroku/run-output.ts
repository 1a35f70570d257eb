/*
 * The output of a one-off process, byte by byte as it comes, without the mark that its exit code comes behind. What may be the beginning
 * of a mark, or half an end of line, is held back until more comes.
 */

export interface Output {
  /** What may be shown now. */
  push(chunk: Buffer): Buffer
  /** What was held back, when nothing more comes. */
  end(): Buffer
  /** What stood behind the mark. */
  exitCode(): number | undefined
}

const latin = (text: string): string => Buffer.from(text).toString('latin1')
const MARK = latin('\uFFFF heroku-command-exit-status: ')
const LONGEST = MARK.length + '255\r\n'.length

/** `marked`: whether there will be a mark; `lines`: whether a terminal's `\r\n` is made `\n`. */
export function createOutput({ marked, lines }: { marked: boolean; lines: boolean }): Output {
  let held = ''
  let code: number | undefined
  const shown = (text: string): Buffer => Buffer.from(lines ? text.replaceAll('\r\n', '\n') : text, 'latin1')
  return {
    push(chunk) {
      const text = (held + chunk.toString('latin1')).replace(EXIT, (whole, number) => {
        if (!marked) return whole
        code = Number(number)
        return ''
      })
      const end = marked ? uncertain(text) : text.length
      const from = lines && text[end - 1] === '\r' ? end - 1 : end
      held = text.slice(from)
      return shown(text.slice(0, from))
    },
    end() {
      const rest = shown(held)
      held = ''
      return rest
    },
    exitCode: () => code,
  }
}

const EXIT = new RegExp(`${MARK}(\\d+)\\r?\\n`)

/** Where a mark may begin that has not come whole. */
function uncertain(text: string): number {
  for (let at = text.indexOf(MARK[0] ?? ''); at !== -1; at = text.indexOf(MARK[0] ?? '', at + 1)) {
    const there = text.slice(at, at + MARK.length)
    if (MARK.startsWith(there) && text.length - at <= LONGEST) return at
  }
  return text.length
}
