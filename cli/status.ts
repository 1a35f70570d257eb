import { ask } from './api.ts'
import { bytes } from './disk.ts'
import { json, say, styled } from './output.ts'
import type { Program } from './program.ts'
import { examples } from './usage.ts'

/** What the API tells; sizes are bytes. */
interface Status {
  failing: string[]
  version: string
  node: string
  host: string
  domain: string
  uptime: number
  apps: number
  dynos: { type: string; state: string; count: number }[]
  releases_underway: { state: string; count: number }[]
  routers: { connected: number; awaited: number; lost: number; behind: number }
  builds: { running: number; waiting: number }
  queues: { boots: number; builds: number; webhook_deliveries: number; drain_lines: number; failing_apps: number }
  memory: { size: number; available: number; daemon: number }
  file_systems: { place: string; size: number; free: number; short: boolean }[]
  database: number
  backup: { newest_at: string | null; size: number; count: number; failure: string | null }
  certificates: { count: number; ending: { name: string; expires_at: string }[] }
}

export function register(program: Program): void {
  program
    .command('status')
    .description('how the platform does, on one screen')
    .option('--json', 'output in json format; sizes are bytes')
    .addHelpText(...examples('$ sluice status', '$ sluice status --json'))
    .action(async (choice) => {
      const status = await ask<Status>('GET', '/sluice/status')
      if (choice.json) json(status)
      else for (const line of linesOf(status)) say(line)
    })
}

function linesOf(status: Status): string[] {
  const { failing, builds, queues, routers, memory, certificates } = status
  const health = failing.length === 0 ? styled('green', 'well') : styled('red', `${failing.join(', ')} failing`)
  const underway = status.releases_underway.reduce((sum, { count }) => sum + count, 0)
  const rows: [string, string][] = [
    ['Platform', `sluice ${status.version} on ${status.host}, Node.js ${status.node}: ${health}`],
    ['Up', `${duration(status.uptime)}, apps at APP.${status.domain}`],
    [
      'Apps',
      `${status.apps}${queues.failing_apps > 0 ? styled('red', `, ${queues.failing_apps} with which nothing gets done`) : ''}`,
    ],
    ['Dynos', byState(status.dynos)],
    ['Releases', underway === 0 ? 'none underway' : `${underway} underway`],
    ['Builds', `${builds.running} running, ${builds.waiting} waiting`],
    [
      'Waiting',
      `${queues.boots} boots, ${queues.webhook_deliveries} webhook deliveries, ${queues.drain_lines} lines for drains`,
    ],
    [
      'Routers',
      `${routers.connected} connected${routers.awaited > 0 ? `, ${routers.awaited} awaited` : ''}, ${routers.lost} lost${routers.behind > 0 ? `, ${routers.behind} versions behind` : ''}`,
    ],
    ['Memory', `${ram(memory.available)} of ${ram(memory.size)} free, ${ram(memory.daemon)} for the daemon`],
    ...status.file_systems.map(({ place, free, size: all, short }): [string, string] => [
      `Disk (${place})`,
      `${bytes(free)} of ${bytes(all)} free${short ? styled('yellow', ', short') : ''}`,
    ]),
    ['Database', bytes(status.database)],
    ['Backup', backupOf(status.backup)],
    [
      'Certificates',
      `${certificates.count}${certificates.ending.map(({ name, expires_at }) => `; ${name} ends ${expires_at.slice(0, 10)}`).join('')}`,
    ],
  ]
  const width = Math.max(...rows.map(([title]) => title.length))
  return rows.map(([title, text]) => `${styled('bold', title.padEnd(width))}  ${text}`)
}

function backupOf({ newest_at, size, failure }: Status['backup']): string {
  const newest = newest_at === null ? 'none' : `${newest_at.slice(0, 16).replace('T', ' ')} UTC, ${bytes(size)}`
  return failure === null ? newest : `${newest}${styled('red', `; the last attempt failed: ${failure}`)}`
}

function byState(dynos: Status['dynos']): string {
  const sums = new Map<string, number>()
  for (const { state, count } of dynos) sums.set(state, (sums.get(state) ?? 0) + count)
  return sums.size === 0 ? 'none' : [...sums].map(([state, count]) => `${count} ${state}`).join(', ')
}

function duration(seconds: number): string {
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ]
  if (days > 0) return `${days} d ${hours} h`
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${Math.floor(seconds) % 60} s`
}

/** With powers of 1024, as in SLUICE_MEMORY and in the sizes of dynos. */
export const ram = (size: number): string =>
  size < 1024 ** 3 ? `${Math.floor(size / 1024 ** 2)} MB` : `${(size / 1024 ** 3).toFixed(1)} GB`
