import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { editionOf, nothing } from '../../router/edition.ts'
import type { Backend } from '../../router/protocol.ts'
import { Snapshots } from '../../router/snapshot.ts'
import { freePort } from '../e2e/ports.ts'
import { eventually, tableOf } from './router-rig.ts'

const main = join(import.meta.dirname, '..', '..', 'router', 'main.js')
const MiB = 1024 * 1024

/** A router with one worker that serves `a.localhost` from a snapshot, without a daemon, and is measured from outside. */
export interface Child {
  port: number
  /** Most memory that it has had above what it had at the start, MiB. */
  grown(): Promise<number>
  /** Hundredths of a second that it has computed for. */
  ticks(): Promise<number>
  alive(): boolean
  close(): Promise<void>
}

/** `files`: how many it may have open. `settings`: in its environment. */
export async function startChild(
  backends: Backend[],
  files = 4096,
  settings: Record<string, string> = {},
): Promise<Child> {
  const data = await mkdtemp(join(tmpdir(), 'sluice-child-'))
  await new Snapshots(join(data, 'router')).write(editionOf(tableOf(1, { backends }), new Map()), nothing)
  const port = await freePort()
  const env = {
    ...process.env,
    ...{ SLUICE_DATA: data, SLUICE_PORT: String(await freePort()), SLUICE_ROUTER_HOST: '127.0.0.1' },
    ...{ SLUICE_HTTP_PORT: String(port), SLUICE_TLS_PORT: String(await freePort()) },
    ...{ SLUICE_ROUTER_WORKERS: '1', SLUICE_ROUTER_STATUS_PORT: '0' },
    ...settings,
  }
  const run = `ulimit -n ${files} && exec "$0" "$1"`
  const child = spawn('bash', ['-c', run, process.execPath, main], { env, stdio: 'ignore' })
  const alive = () => child.exitCode === null && child.signalCode === null
  await eventually(alive, () => 'the router to start')
  await reachable(port)
  const pids = await family(child.pid ?? 0)
  const before = sum(await Promise.all(pids.map(memory)), ({ now }) => now)
  return {
    port,
    alive: () => alive() && pids.every((pid) => existsSync(`/proc/${pid}`)),
    grown: async () => (sum(await Promise.all(pids.map(memory)), ({ most }) => most) - before) / MiB,
    ticks: async () => sum(await Promise.all(pids.map(computed)), (ticks) => ticks),
    async close() {
      child.kill('SIGKILL')
      if (alive()) await once(child, 'exit')
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** A process and those that it has started. */
async function family(pid: number): Promise<number[]> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter((id) => id !== '')
  return [pid, ...(await Promise.all(children.map((id) => family(Number(id))))).flat()]
}

const sum = <T>(list: T[], of: (one: T) => number): number => list.reduce((total, one) => total + of(one), 0)

async function computed(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')
  return Number(fields[11]) + Number(fields[12])
}

async function memory(pid: number): Promise<{ now: number; most: number }> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024
  return { now: bytes('VmRSS'), most: bytes('VmHWM') }
}

async function reachable(port: number): Promise<void> {
  let up = false
  const attempt = (): void => {
    const socket = connect(port, '127.0.0.1', () => {
      up = true
      socket.destroy()
    })
    socket.on('error', () => setTimeout(attempt, 20))
  }
  attempt()
  await eventually(
    () => up,
    () => 'the router to accept',
  )
}
