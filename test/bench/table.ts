/** One line of the table: what was measured, each run of it, and the least that it could have taken. */
export interface Row {
  what: string
  runs: number[]
  /** What the engine, and the app's own boot, take for the same without Sluice. */
  floor?: number
  unit?: Unit
}

type Unit = 'ms' | 'MB' | 's' | 'lines' | 'lines/s'

export const show = (value: number, unit: Unit = 'ms'): string =>
  `${unit === 's' ? value.toFixed(2) : value < 10 && unit !== 'lines' ? value.toFixed(1) : Math.round(value)} ${unit}`

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** `least` says what the floors are; without floors it is left out. */
export function table(rows: Row[], least = 'engine and boot'): string {
  const compared = rows.some(({ floor }) => floor !== undefined) ? [least, 'Sluice adds', 'ratio'] : []
  const head = ['', 'median', 'range', 'runs', ...compared]
  const lines = [head, ...rows.map((row) => cells(row).slice(0, head.length))]
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines
    .map((line) => line.map((cell, column) => pad(cell, widths[column] ?? 0, column === 0)).join('  '))
    .join('\n')
}

function cells({ what, runs, floor, unit }: Row): string[] {
  const value = median(runs)
  const range = runs.length > 1 ? `${show(Math.min(...runs), unit)} to ${show(Math.max(...runs), unit)}` : ''
  const compared = floor === undefined ? ['', '', ''] : [show(floor), show(value - floor), (value / floor).toFixed(1)]
  return [what, show(value, unit), range, String(runs.length), ...compared]
}

const pad = (cell: string, width: number, left: boolean): string => (left ? cell.padEnd(width) : cell.padStart(width))
