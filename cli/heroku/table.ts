import { printable, say, styled } from '../output.ts'

/** Columns by their titles: what stands there for a row. */
export type Columns<Row> = Record<string, (row: Row) => unknown>

/** A table in the official CLI's form: a line below the titles, and an empty one at the end. Never cut or wrapped. */
export function grid<Row>(columns: Columns<Row>, rows: Row[]): void {
  const titles = Object.keys(columns)
  const cells = rows.map((row) => titles.map((title) => oneLine(columns[title]?.(row))))
  const widths = titles.map((title, n) => Math.max(...[title, ...cells.map((row) => row[n] ?? '')].map(widthOf)))
  const line = (row: string[]): string =>
    `  ${row.map((cell, n) => cell + ' '.repeat((widths[n] ?? 0) - widthOf(cell))).join('   ')}`.trimEnd()
  say(styled('bold', line(titles)))
  say(` ${'─'.repeat(widths.reduce((sum, width) => sum + width + 3, -1))}`)
  for (const row of cells) say(line(row))
  say('')
}

const oneLine = (value: unknown): string => printable(String(value ?? '')).replace(/[\n\t]/g, ' ')

const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g')
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}]/u
const NONE = /[\p{Mn}\p{Me}\p{Cf}]/u

/** Columns of a terminal that a text takes. */
function widthOf(text: string): number {
  let width = 0
  for (const char of text.replace(COLOUR, '')) width += NONE.test(char) ? 0 : WIDE.test(char) ? 2 : 1
  return width
}

/** The same as comma-separated values (RFC 4180). */
export function csv<Row>(columns: Columns<Row>, rows: Row[]): void {
  const quoted = (cell: unknown): string => {
    const text = String(cell ?? '')
    return /["\n\r,]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  say(Object.keys(columns).map(quoted).join(','))
  for (const row of rows)
    say(
      Object.values(columns)
        .map((value) => quoted(value(row)))
        .join(','),
    )
}
