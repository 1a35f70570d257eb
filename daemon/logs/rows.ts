import { existsSync, readFileSync } from 'node:fs'
import type { Position } from './intake.ts'
import type { Line } from './line.ts'
import type { Entry } from './ring.ts'

/**
 * The file format of a journal: a row of JSON for each line, and after each batch of them a row that says how far the dynos were
 * read with it. Rows that none such follows were cut off by a kill or a power cut: they were shown to nobody and are read again.
 */
type Row = [seq: number, at: number, source: Line['source'], dyno: string, text: string]
interface Mark {
  read: Position[]
}

export const formatRow = ({ seq, line: { at, source, dyno, text } }: Entry): string =>
  `[${seq},${at},"${source}",${JSON.stringify(dyno)},${JSON.stringify(text)}]\n`

export const formatMark = (read: Position[]): string => `${JSON.stringify({ read } satisfies Mark)}\n`

const NEWLINE = 0x0a

/** Gives what the file holds to the two, and returns how much of it is whole. */
export function readRows(file: string, entry: (entry: Entry) => void, position: (position: Position) => void): number {
  if (!existsSync(file)) return 0
  const bytes = readFileSync(file)
  let whole = 0
  let batch: Entry[] = []
  for (let from = 0, to = bytes.indexOf(NEWLINE); to !== -1; from = to + 1, to = bytes.indexOf(NEWLINE, from)) {
    const row = parse(bytes.toString('utf8', from, to))
    if (Array.isArray(row)) {
      const [seq, at, source, dyno, text] = row
      batch.push({ seq, line: { at, source, dyno, text } })
    } else if (row) {
      batch.forEach(entry)
      row.read.forEach(position)
      batch = []
      whole = to + 1
    }
  }
  return whole
}

function parse(text: string): Row | Mark | undefined {
  try {
    const row: unknown = JSON.parse(text)
    if (Array.isArray(row) ? row.length >= 5 : typeof row === 'object' && row !== null && 'read' in row)
      return row as Row | Mark
  } catch {
    // Torn by a power cut.
  }
  return undefined
}
