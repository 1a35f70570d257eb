import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatSize } from '../build/output.ts'
import { readConfig } from '../config.ts'
import { createDockerEngine } from '../engine/docker.ts'
import { messageOf } from '../errors.ts'
import { createLog } from '../log.ts'
import { drain, readArchive } from './archive.ts'
import { readPassphrase } from './cipher.ts'
import type { Manifest } from './manifest.ts'
import { restore } from './restore.ts'

/**
 * `verify FILE` and `restore FILE`, each with `--passphrase-file FILE` and `--json`: what is done with a backup where no daemon runs. Whoever has
 * forked it is sent why it failed.
 */
async function main(): Promise<void> {
  const options = { 'passphrase-file': { type: 'string' }, json: { type: 'boolean' } } as const
  const { positionals, values } = parseArgs({ options, allowPositionals: true })
  const [command, file = ''] = positionals
  const { 'passphrase-file': from } = values
  const passphrase = from === undefined ? undefined : await readPassphrase(from)
  const { manifest, lines } = await (command === 'restore' ? restoreHere : verify)(file, passphrase)
  const missing = manifest.missing.map((what) => `Missing when it was made: ${what}`)
  const text = values.json ? JSON.stringify(manifest, null, 2) : [...lines, ...missing].join('\n')
  process.stdout.write(`${text}\n`)
}

interface Done {
  manifest: Manifest
  lines: string[]
}

async function verify(file: string, passphrase: string | undefined): Promise<Done> {
  let bytes = 0
  const manifest = await readArchive(file, passphrase, {
    manifest: async () => {},
    folder: async () => {},
    async file({ size }, content) {
      await drain(content)
      bytes += size
    },
  })
  const { made_at, host } = manifest
  const line = `${file} is whole: ${countsOf(manifest)}, ${formatSize(bytes)}; made at ${made_at} on ${host}.`
  return { manifest, lines: [line] }
}

async function restoreHere(file: string, passphrase: string | undefined): Promise<Done> {
  const config = readConfig()
  const { engineSocket: socket, data } = config
  const images = async (installation: string) => {
    const engine = createDockerEngine({ socket, installation, data, caBundle: undefined, log: createLog() })
    await engine.ping()
    return engine.images
  }
  const tell = (line: string): void => void process.stderr.write(`${line}\n`)
  const manifest = await restore(file, { config, passphrase, images, tell })
  const settings = Object.entries(manifest.settings).map(([name, value]) => `${name}=${value}`)
  return {
    manifest,
    lines: [
      `Restored into ${data}: ${countsOf(manifest)}.`,
      `Start it with the settings that it had: ${settings.join(' ')}`,
      'It is the same installation as before: the old one must not run any more.',
      `Where systemd hands the sealing key in, that is ${join(data, 'seal.key')} from now on. Make it the credential: install -m 0600 ${join(data, 'seal.key')} /etc/sluice/seal.key, or, where it is encrypted: systemd-creds encrypt --name=seal.key ${join(data, 'seal.key')} /etc/sluice/seal.key.cred`,
    ],
  }
}

const countsOf = ({ counts }: Manifest): string =>
  Object.entries(counts)
    .map(([what, count]) => `${count} ${what}`)
    .join(', ')

main().catch((error: unknown) => {
  if (process.send) process.send(messageOf(error))
  else process.stderr.write(`${messageOf(error)}\n`)
  process.exitCode = 1
})
