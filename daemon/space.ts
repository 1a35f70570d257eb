import { statfs } from 'node:fs/promises'
import { limits } from './limits.ts'

/** What a file system has; bytes as `df` counts them, so that what only root may use is not there. */
export interface Space {
  /** In use and left. */
  size: number
  free: number
  /** Files that it can still take; Infinity where files are made room for as they come. */
  files: number
}

export async function spaceOf(folder: string): Promise<Space> {
  const { blocks, bfree, bavail, bsize, files, ffree } = await statfs(folder)
  return {
    size: (blocks - bfree + bavail) * bsize,
    free: bavail * bsize,
    files: files > 0 ? ffree : Number.POSITIVE_INFINITY,
  }
}

/** How much of a file system may be in use: a part of it, or so many bytes. */
export type Budget = { share: number } | { bytes: number }

const UNITS: Record<string, number> = { MB: 1e6, GB: 1e9, TB: 1e12, MIB: 2 ** 20, GIB: 2 ** 30, TIB: 2 ** 40 }

/** `85%`, `200GB`, `1.5 TiB`. Throws for anything else. */
export function parseBudget(name: string, text: string): Budget {
  const [, number = '', unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?) ?(%|[MGT]i?B)$/i.exec(text.trim()) ?? []
  const value = Number(number)
  if (unit === '%' && value > 0 && value <= 100) return { share: value / 100 }
  const bytes = value * (UNITS[unit.toUpperCase()] ?? 0)
  if (!(bytes > 0))
    throw new Error(`${name} is "${text}"; it must be a percentage up to 100%, such as 85%, or a size such as 200GB.`)
  return { bytes }
}

/** Bytes that may be in use. */
export const mostOf = ({ size }: Space, budget: Budget): number =>
  'share' in budget ? Math.floor(size * budget.share) : budget.bytes

/**
 * Pure. More is in use than may be, or so little is left that builds are soon refused (limits.diskReserve): twice that much is to be free,
 * so that there is room for what comes before the next look.
 */
export function isOver(space: Space, budget: Budget): boolean {
  const { size, free, files } = space
  return size - free > mostOf(space, budget) || free < 2 * limits.diskReserve || files < 2 * limits.filesReserve
}
