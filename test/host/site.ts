import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { takeBerth } from '../e2e/berth.ts'
import { createTools } from '../e2e/client.ts'
import { socketPath } from '../e2e/engine.ts'
import { newInstallation, removeInstallation } from '../e2e/installation.ts'
import { type Place, settingsOf, withApps } from '../e2e/platform.ts'
import type { Ports } from '../e2e/ports.ts'
import type { Source } from '../e2e/source.ts'
import { type Machine, startMachine } from './machine.ts'

/** A machine on which a platform can be installed: ports and data folder are this test's, and nothing of Sluice is there. */
export interface Site {
  machine: Machine
  ports: Ports
  data: string
  /** Of the daemon and the router. */
  settings: Record<string, string>
  installation: string
  /** A folder that the machine has at the same path. */
  shelf: string
  /** What has been installed, as its users have it. */
  platform(): Promise<Place>
  leave(): Promise<void>
}

/** State directories are below it. */
const STATE = '/var/lib'

export async function takeSite(): Promise<Site> {
  const installation = newInstallation()
  const data = await mkdtemp(join(STATE, `sluice-test-${process.pid}-`))
  const shelf = await mkdtemp(join(tmpdir(), `sluice-shelf-${process.pid}-`))
  await writeFile(join(data, 'installation'), installation)
  const berth = await takeBerth(installation)
  const { ports } = berth
  const sources: Source[] = []
  const machine = await startMachine([data, shelf].map((folder) => ({ from: folder, to: folder })))
  const leave = async (): Promise<void> => {
    await machine.stop()
    await berth.leave(() => removeInstallation(installation))
    for (const source of sources) await source.remove()
    for (const folder of [data, shelf]) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    await prepare(machine, data, ports)
  } catch (error) {
    await leave()
    throw error
  }
  return {
    machine,
    ports,
    data,
    settings: settingsOf(data, berth),
    installation,
    shelf,
    async platform() {
      const token = (await readFile(join(data, 'admin.token'), 'utf8')).trim()
      const tools = await createTools({ port: ports.api, token, data, home: join(shelf, 'home') })
      return withApps({ data, ports, ...tools }, token, sources)
    },
    leave,
  }
}

/** What differs from a machine of its own: ports, the data folder, and the group of an engine that is not its. */
async function prepare(machine: Machine, data: string, ports: Ports): Promise<void> {
  const { gid } = await stat(socketPath)
  await machine.must(['groupadd', '--non-unique', '--gid', String(gid), 'docker'])
  const dropIn = (unit: string, text: string) => machine.write(`/etc/systemd/system/${unit}.d/test.conf`, text)
  const state = (folder: string, mode: string) =>
    `[Service]\nStateDirectory=\nStateDirectory=${folder}\nStateDirectoryMode=${mode}\n`
  await dropIn('sluiced.service', state(basename(data), '0710'))
  await dropIn('sluice-router.service', state(join(basename(data), 'router'), '0700'))
  await dropIn('sluice-http.socket', `[Socket]\nListenStream=\nListenStream=${ports.http}\n`)
  await dropIn('sluice-https.socket', `[Socket]\nListenStream=\nListenStream=${ports.tls}\n`)
}

export const settingsFile = (settings: Record<string, string>): string =>
  Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
