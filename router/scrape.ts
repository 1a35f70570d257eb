import { timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Whether who asks has the token for metrics: `metrics.token` in the data folder, which the daemon makes; a router elsewhere needs a copy.
 * Read each time, so whoever replaces the file replaces the token.
 */
export async function mayScrape(data: string, authorization: string | undefined): Promise<boolean> {
  const token = (await readFile(join(data, 'metrics.token'), 'utf8').catch(() => '')).trim()
  const [wanted, given] = [Buffer.from(`Bearer ${token}`), Buffer.from(authorization ?? '')]
  return token !== '' && given.length === wanted.length && timingSafeEqual(given, wanted)
}
