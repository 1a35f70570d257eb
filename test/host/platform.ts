import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { takeBerth } from '../e2e/berth.ts'
import { createTools } from '../e2e/client.ts'
import { socketPath } from '../e2e/engine.ts'
import { newInstallation, removeInstallation } from '../e2e/installation.ts'
import { type Place, settingsOf, withApps } from '../e2e/platform.ts'
import type { Source } from '../e2e/source.ts'
import { type Machine, type Mount, startMachine } from './machine.ts'

/** A platform as its units run it: this checkout in a machine with systemd. */
export interface Host extends Place {
  machine: Machine
  installation: string
  stop(): Promise<void>
}

const root = resolve(import.meta.dirname, '..', '..', '..')
const UNITS = ['sluiced.service', 'sluice-router.service', 'sluice-http.socket', 'sluice-https.socket']
/** Of every platform that is started here. */
export const sealingKey = 'x'.repeat(32)
const RELEASE = '/opt/sluice/releases/test'
/** State directories are below it. */
const STATE = '/var/lib'
const PREFIX = 'sluice-test-'

/** Resolves when systemd says that daemon and router are ready; rejects with their journals. `settings` are the daemon's. */
export async function startHost(
  settings: (data: string) => Promise<Record<string, string>> = async () => ({}),
): Promise<Host> {
  await sweep()
  const data = await mkdtemp(join(STATE, `${PREFIX}${process.pid}-`))
  const home = await mkdtemp(join(tmpdir(), 'sluice-home-'))
  const installation = newInstallation()
  await writeFile(join(data, 'installation'), installation)
  const berth = await takeBerth(installation)
  const { ports } = berth
  const sources: Source[] = []
  let machine: Machine | undefined
  const stop = async (): Promise<void> => {
    await machine?.stop()
    await berth.leave(() => removeInstallation(installation))
    for (const folder of [data, home]) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    for (const source of sources) await source.remove()
  }
  try {
    machine = await startMachine([{ from: data, to: data }, ...(await checkout())])
    await lay(machine, data, { ports, settings: { ...settingsOf(data, berth), ...(await settings(data)) } })
    const started = await machine.run(['systemctl', 'enable', '--now', ...UNITS])
    if (started.code !== 0) throw new Error(`${started.output}\n${await machine.journal('sluice*')}`)
    const token = (await readFile(join(data, 'admin.token'), 'utf8')).trim()
    const tools = await createTools({ port: ports.api, token, data, home })
    return { ...withApps({ data, ports, ...tools }, token, sources), machine, installation, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** What an artefact holds, from here. */
async function checkout(): Promise<Mount[]> {
  const parts = ['dist', 'node_modules', 'buildpacks', 'systemd', 'package.json'].map(async (name) => ({
    from: await realpath(join(root, name)),
    to: join(RELEASE, name),
    readOnly: true,
  }))
  return [...(await Promise.all(parts)), { from: process.execPath, to: join(RELEASE, 'bin/node'), readOnly: true }]
}

/** What an installer does, with a data folder and ports of the test's own. */
async function lay(
  machine: Machine,
  data: string,
  { ports, settings }: { ports: Place['ports']; settings: Record<string, string> },
): Promise<void> {
  const { gid } = await stat(socketPath)
  await machine.must(['groupadd', '--non-unique', '--gid', String(gid), 'docker'])
  await machine.must(['ln', '-s', 'releases/test', '/opt/sluice/current'])
  const part = (name: string) => readFile(join(root, 'systemd', name), 'utf8')
  for (const unit of UNITS) await machine.write(`/etc/systemd/system/${unit}`, await part(unit))
  const dropIn = (unit: string, text: string) => machine.write(`/etc/systemd/system/${unit}.d/test.conf`, text)
  // what takes the folder back takes back its mode
  const state = (folder: string, mode: string) =>
    `[Service]\nStateDirectory=\nStateDirectory=${folder}\nStateDirectoryMode=${mode}\n`
  await dropIn('sluiced.service', state(basename(data), '0710'))
  await dropIn('sluice-router.service', state(join(basename(data), 'router'), '0700'))
  await dropIn('sluice-http.socket', `[Socket]\nListenStream=\nListenStream=${ports.http}\n`)
  await dropIn('sluice-https.socket', `[Socket]\nListenStream=\nListenStream=${ports.tls}\n`)
  await machine.write('/etc/sysusers.d/sluice.conf', await part('sluice.sysusers'))
  await machine.write('/etc/tmpfiles.d/sluice.conf', (await part('sluice.tmpfiles')).replace(`${STATE}/sluice`, data))
  await machine.must(['systemd-sysusers'])
  await machine.must(['systemd-tmpfiles', '--create', '/etc/tmpfiles.d/sluice.conf'])
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
  await machine.write('/etc/sluice/sluice.env', lines.join(''), 0o600)
  await machine.write('/etc/sluice/seal.key', sealingKey, 0o600)
  await machine.must(['systemctl', 'daemon-reload'])
}

/** A test that was killed at its deadline could not clean up; the next one does. What it left in the engine the runner removes. */
async function sweep(): Promise<void> {
  for (const name of await readdir(STATE)) {
    const pid = name.startsWith(PREFIX) && name.slice(PREFIX.length).split('-')[0]
    if (pid && !existsSync(`/proc/${pid}`)) await rm(join(STATE, name), { recursive: true, force: true, maxRetries: 5 })
  }
}
