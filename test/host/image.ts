import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { aptSources } from '../../buildpacks/stack/mirror.ts'
import { isolated } from '../../buildpacks/stack/process.ts'
import { importImage, inspectImage, removeImage } from '../../daemon/engine/image.ts'

/** A Debian without Node.js whose first process is systemd; `machine.ts` starts machines from it. */
export const hostImage = 'sluice/host:debian-13'
/** The same without anything that Sluice needs, and with an older systemd (252). */
export const bareImage = 'sluice/host:debian-12-bare'

const releases = { [hostImage]: 'trixie', [bareImage]: 'bookworm' } as const

const script = resolve(import.meta.dirname, '..', '..', '..', 'test', 'host', 'host.sh')
const LABEL = 'sluice.host'

/** `node dist/test/host/image.js [SOCKET]`, part of the set-up for tests: makes those that are not there as `host.sh` makes them. */
async function main([socket = '/var/run/docker.sock']: string[]): Promise<void> {
  const hash = createHash('sha256')
    .update(await readFile(script))
    .digest('hex')
  for (const [name, release] of Object.entries(releases)) await make(socket, { name, release, hash })
}

async function make(socket: string, { name, release, hash }: Record<'name' | 'release' | 'hash', string>) {
  const old = await inspectImage(socket, name)
  if (old?.labels[LABEL] === hash) return
  const work = await mkdtemp('/var/tmp/sluice-host-image-')
  try {
    await writeFile(join(work, 'sources'), await aptSources('/etc/apt', release))
    await isolated(['bash', script, work, release])
    const changes = ['ENV container=docker', `LABEL ${LABEL}=${hash}`]
    await importImage(socket, { name, tar: createReadStream(join(work, 'host.tar')), changes })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  if (old) await removeImage(socket, old.id).catch(() => {})
}

if (process.argv[1] === import.meta.filename)
  main(process.argv.slice(2)).then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`host: ${error instanceof Error ? error.message : String(error)}\n`)
      process.exit(1)
    },
  )
