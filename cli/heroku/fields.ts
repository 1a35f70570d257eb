import { inspect } from 'node:util'
import { say, styled } from '../output.ts'

/** Prints `Name: value` lines with the values below each other, a list one a line. What is absent or an empty list is left out. */
export function fields(values: Record<string, unknown>): void {
  const shown = Object.entries(values).filter(
    ([, value]) => value !== null && value !== undefined && !(Array.isArray(value) && value.length === 0),
  )
  const width = Math.max(0, ...shown.map(([key]) => key.length)) + 2
  const lines = shown.flatMap(([key, value]) => {
    const [first, ...rest] = (Array.isArray(value) ? value : [value]).map(text)
    const head = `${styled('bold', key)}:${' '.repeat(width - key.length - 1)}${first}`
    return [head, ...rest.map((line) => `${' '.repeat(width)}${line}`)]
  })
  say(lines.join('\n'))
}

function text(value: unknown): string {
  if (!value) return inspect(value)
  if (typeof value !== 'object') return String(value)
  return Object.entries(value)
    .map(([key, part]) => `${key}: ${inspect(part)}`)
    .join(', ')
}
