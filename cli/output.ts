import { styleText } from 'node:util'

/*
 * What a person asked for goes to stdout; how it goes, and what went wrong, to stderr. Colours only on a terminal, and not with NO_COLOR.
 * Names come from other people: of what they may hold, nothing but colours has power over the terminal.
 */

export const say = (line: string): void => void process.stdout.write(`${printable(line)}\n`)

export const json = (value: unknown): void =>
  void process.stdout.write(`${JSON.stringify(value, null, 2).replace(/[\x7f-\x9f]/g, escaped)}\n`)

/** JSON leaves these as they are, and terminals obey them. */
const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** An error, in the official CLI's form. */
export const complain = (text: string): void => note(`Error: ${text}`, 'red')

/** A warning, in the official CLI's form. */
export const warn = (text: string): void => note(`Warning: ${text}`, 'yellow')

function note(text: string, colour: 'red' | 'yellow'): void {
  const mark = styled(colour, '›', process.stderr)
  const lines = printable(text.trimEnd()).split('\n')
  const written = `${lines.map((line) => ` ${mark}   ${line}`.trimEnd()).join('\n')}\n`
  if (begun) begun.notes += written
  else process.stderr.write(written)
}

/** The action whose line is not ended yet: what is noted meanwhile comes behind it. */
let begun: { notes: string } | undefined

const FRAMES = ['⣾', '⣽', '⣻', '⢿', '⡿', '⣟', '⣯', '⣷']
const FRAME_TIME = 80
/** Clears the line, so that the next is written over it. */
const AGAIN = '\r\x1b[2K'

/**
 * Tells what is being done, on stderr, and `done` or `!` when it is over, as the official CLI does. On a terminal it is seen to go on, with
 * the word that was told last.
 */
export async function action<Result>(
  message: string,
  work: (tell: (word: string) => void) => Promise<Result>,
): Promise<Result> {
  const { stderr } = process
  let word: string | undefined
  const text = printable(message)
  const moves = stderr.isTTY && text.length + 5 < (stderr.columns ?? 80) && process.env.TERM !== 'dumb'
  let frame = 0
  const draw = () => {
    const line = `${text}... ${word === undefined ? '' : `${word} `}${FRAMES[frame++ % FRAMES.length]}`
    stderr.write(`${AGAIN}${line.slice(0, (stderr.columns ?? 80) - 1)}`)
  }
  const timer = moves ? setInterval(draw, FRAME_TIME) : undefined
  stderr.write(`${text}...`)
  const current = { notes: '' }
  begun = current
  const end = (told: string) => {
    clearInterval(timer)
    begun = undefined
    stderr.write(`${moves ? `${AGAIN}${text}...` : ''} ${told}\n${current.notes}`)
  }
  try {
    const result = await work((told) => {
      word = printable(told)
    })
    end(word ?? 'done')
    return result
  } catch (error) {
    end(styled('red', '!', stderr))
    throw error
  }
}

/** `=== text`, the head of a section. */
export const header = (text: string): void => say(`${styled('dim', '===')} ${styled('bold', text)}\n`)

type Style = Parameters<typeof styleText>[0]

export const styled = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  stream.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb' ? styleText(style, text) : text

/** Without the control characters that move the cursor, set titles, or worse; lines, tabs and colours stay. */
export const printable = (text: string): string =>
  text.replace(/\x1b\[[\d;]*m|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, (found) => (found.length > 1 ? found : ''))

/** How many columns it takes, colours not counted. */
const width = (text: string): number => text.replace(/\x1b\[[\d;]*m/g, '').length

/** Columns as wide as their content; a title that ends with `>` has its column at the right. */
export function table(titles: string[], rows: string[][]): string {
  const right = titles.map((title) => title.endsWith('>'))
  const head = titles.map((title) => title.replace(/>$/, ''))
  const lines = rows.map((row) => row.map((cell) => printable(cell).replace(/[\n\t]/g, ' ')))
  const widths = head.map((title, n) => Math.max(title.length, ...lines.map((row) => width(row[n] ?? ''))))
  const line = (cells: string[]): string =>
    cells
      .map((cell, n) => {
        const blanks = ' '.repeat(Math.max(0, (widths[n] ?? 0) - width(cell)))
        return right[n] ? `${blanks}${cell}` : `${cell}${blanks}`
      })
      .join('  ')
      .trimEnd()
  return [styled('bold', line(head)), ...lines.map(line)].map((text) => `${text}\n`).join('')
}
