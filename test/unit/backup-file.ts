import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { type Header, pack } from 'tar-stream'

/** Files that are, or claim to be, backups, made without the code that makes backups. */
export interface Entry {
  name: string
  text?: string
  type?: Header['type']
  linkname?: string
}

export const manifest = (change: Record<string, unknown> = {}): string =>
  JSON.stringify({
    ...{ format: 1, sluice: '0.1.0', schema: 1, made_at: '2026-11-28T03:15:00.000Z', host: 'here', bytes: 1000 },
    ...{ counts: { apps: 1 }, settings: {}, missing: [] },
    ...change,
  })

export async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack()
  for (const { name, text = '', type = 'file', linkname } of entries)
    tar.entry({ name, type, mode: 0o700, ...(linkname === undefined ? {} : { linkname }) }, text)
  tar.finalize()
  return buffer(tar)
}

export const sumsOf = (entries: readonly Entry[]): string =>
  entries
    .filter(({ type = 'file' }) => type === 'file')
    .map(({ name, text = '' }) => `${createHash('sha256').update(text).digest('hex')}  ${name}\n`)
    .join('')

export async function packed(bytes: Buffer): Promise<Buffer> {
  const zstd = spawn('zstd', ['-q', '-c'], { stdio: ['pipe', 'pipe', 'inherit'] })
  zstd.stdin.end(bytes)
  return buffer(zstd.stdout)
}
