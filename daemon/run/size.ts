import { invalid, type UserError } from '../errors.ts'

const MiB = 1024 ** 2
const GiB = 1024 ** 3

/** Dyno sizes: memory in bytes, CPU in cores, as Heroku names them. Size names are matched without regard to case. */
export const dynoSizes = {
  Eco: { memory: 512 * MiB, cpu: 1, pids: 256 },
  Basic: { memory: 512 * MiB, cpu: 1, pids: 256 },
  'Standard-1X': { memory: 512 * MiB, cpu: 1, pids: 256 },
  'Standard-2X': { memory: 1 * GiB, cpu: 2, pids: 512 },
  'Performance-M': { memory: 2.5 * GiB, cpu: 2, pids: 16_384 },
  'Performance-L': { memory: 14 * GiB, cpu: 8, pids: 32_768 },
} as const

export type DynoSize = keyof typeof dynoSizes
export const defaultSize: DynoSize = 'Basic'

export const parseSize = (name: string): DynoSize | undefined =>
  (Object.keys(dynoSizes) as DynoSize[]).find((size) => size.toLowerCase() === name.toLowerCase())

export const noSize = (name: string): UserError =>
  invalid(`No such dyno size: ${name.slice(0, 100)}. Choose one of: ${Object.keys(dynoSizes).join(', ')}.`)
