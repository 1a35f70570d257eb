import { randomBytes, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onceWritten } from '../store/once.ts'

/**
 * The token that opens `/metrics` and nothing else, here and at a router whose status port others reach: `metrics.token` in the data
 * folder, made at the first start. Whoever replaces the file replaces the token, at once.
 */
export const ensureScrapeToken = async (data: string): Promise<void> =>
  void (await onceWritten(fileIn(data), () => randomBytes(32).toString('base64url')))

export async function isScrapeToken(data: string, given: string): Promise<boolean> {
  const wanted = Buffer.from((await readFile(fileIn(data), 'utf8').catch(() => '')).trim())
  const bytes = Buffer.from(given)
  return wanted.length > 0 && bytes.length === wanted.length && timingSafeEqual(bytes, wanted)
}

const fileIn = (data: string): string => join(data, 'metrics.token')
