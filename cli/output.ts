import { styleText } from 'node:util'

/*
 * What a person asked for goes to stdout; how it goes, and what went wrong, to stderr. Colours only on a terminal, and not with NO_COLOR.
 */

export const say = (line: string): void => void process.stdout.write(`${line}\n`)

export const json = (value: unknown): void => say(JSON.stringify(value, null, 2))

/** An error, in the official CLI's form. */
export function complain(text: string): void {
  const lines = `Error: ${text.trimEnd()}`.split('\n')
  process.stderr.write(
    `${lines.map((line) => ` ${styled('red', '›', process.stderr)}   ${line}`.trimEnd()).join('\n')}\n`,
  )
}

/** Tells what is being done, on stderr, and `done` or `!` when it is over, as the official CLI does. */
export async function action<Result>(
  message: string,
  work: (tell: (word: string) => void) => Promise<Result>,
): Promise<Result> {
  let word = 'done'
  process.stderr.write(`${message}...`)
  try {
    const result = await work((told) => {
      word = told
    })
    process.stderr.write(` ${word}\n`)
    return result
  } catch (error) {
    process.stderr.write(` ${styled('red', '!', process.stderr)}\n`)
    throw error
  }
}

/** `=== text`, the head of a section. */
export const header = (text: string): void => say(`${styled('dim', '===')} ${styled('bold', text)}\n`)

type Style = Parameters<typeof styleText>[0]

export const styled = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  stream.isTTY && !process.env.NO_COLOR ? styleText(style, text) : text

/** Columns as wide as their content; a title that ends with `>` has its column at the right. */
export function table(titles: string[], rows: string[][]): string {
  const right = titles.map((title) => title.endsWith('>'))
  const head = titles.map((title) => title.replace(/>$/, ''))
  const widths = head.map((title, n) => Math.max(title.length, ...rows.map((row) => (row[n] ?? '').length)))
  const line = (cells: string[]): string =>
    cells
      .map((cell, n) => (right[n] ? cell.padStart(widths[n] ?? 0) : cell.padEnd(widths[n] ?? 0)))
      .join('  ')
      .trimEnd()
  return [styled('bold', line(head)), ...rows.map(line)].map((text) => `${text}\n`).join('')
}
