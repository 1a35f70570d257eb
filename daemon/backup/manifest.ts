import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type Config, packageRoot } from '../config.ts'
import { migrations } from '../store/migrations.ts'
import { BackupError } from './fault.ts'
import { damaged } from './tar.ts'

/** Of the layout of a backup: a program reads those up to its own. */
export const FORMAT = 1

/** What a backup says of itself, first of all. */
const Manifest = z.object({
  format: z.number().int().positive(),
  /** Version of the Sluice that made it, and of its database. */
  sluice: z.string(),
  schema: z.number().int().nonnegative(),
  made_at: z.iso.datetime(),
  host: z.string(),
  /** About what all of it takes when it is unpacked. */
  bytes: z.number().nonnegative(),
  counts: z.record(z.string(), z.number().int().nonnegative()),
  /** Settings of the daemon that apps were used to. No secrets. */
  settings: z.record(z.string(), z.string()),
  /** What rows name and was not there when it was made, for people. */
  missing: z.array(z.string()),
})
export type Manifest = z.output<typeof Manifest>

export const manifestOf = (
  config: Config,
  made: Pick<Manifest, 'bytes' | 'counts' | 'missing'> & { at: number },
): Manifest => ({
  format: FORMAT,
  sluice: version,
  schema: migrations.length,
  made_at: new Date(made.at).toISOString(),
  host: hostname(),
  bytes: made.bytes,
  counts: made.counts,
  settings: {
    SLUICE_DOMAIN: config.domain,
    SLUICE_PORT: String(config.api.port),
    SLUICE_HTTP_PORT: String(config.router.httpPort),
    SLUICE_TLS_PORT: String(config.router.tlsPort),
    SLUICE_NETWORK_POOL: config.networkPool,
    SLUICE_ADMIN_EMAIL: config.adminEmail,
  },
  missing: made.missing.slice(0, SHOWN),
})

const SHOWN = 100

/** Throws BackupError for one that a newer Sluice has made. */
export function parseManifest(text: string): Manifest {
  const json = jsonOf(text)
  const { success, data } = z.object({ format: z.number(), sluice: z.string() }).safeParse(json)
  if (success && data.format > FORMAT)
    throw new BackupError(`It was made by a newer Sluice (${data.sluice}). Install that one, and try again.`)
  const manifest = Manifest.safeParse(json)
  if (!manifest.success) throw damaged()
  return manifest.data
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw damaged()
  }
}

const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }
