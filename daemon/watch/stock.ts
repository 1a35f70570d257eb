import { stat } from 'node:fs/promises'
import { freemem, hostname, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Daemon } from '../daemon.ts'
import type { Disk } from '../disk/disk.ts'
import type { FileSystem } from '../disk/report.ts'
import type { Boots } from '../run/boot.ts'
import type { DynoState, RolloutState } from '../store/schema.ts'
import { version } from '../version.ts'
import { isOpen } from '../webhook/delivery.ts'
import { type Newest, newestBackup } from './backup.ts'
import type { Served } from './certificates.ts'
import { type Load, loadOf } from './process.ts'

/** What there is at one moment. Bytes; ms since the epoch. */
export interface Stock {
  version: string
  node: string
  host: string
  process: Load
  apps: number
  /** `type` is one of few words, whatever users name theirs. */
  dynos: { type: string; state: DynoState; count: number }[]
  /** Releases on their way. */
  rollouts: { state: RolloutState; count: number }[]
  builds: { running: number; waiting: number }
  boots: { booting: number; waiting: number }
  passes: { running: number; failing: string[] }
  drains: { open: number; waiting: number }
  /** Deliveries that are to be attempted. */
  webhooks: number
  routers: { connected: number; awaited: number; lost: number; behind: number }
  memory: { size: number; available: number }
  fileSystems: FileSystem[]
  disk: Disk['measured']
  database: number
  certificates: Served[]
  backup: Newest
}

interface Sources {
  boots: Pick<Boots, 'state'>
  certificates(d: Daemon): Promise<Served[]>
  systems(d: Daemon): Promise<FileSystem[]>
}

/** Counters in memory and a few queries over indices: asked every few seconds it costs next to nothing, with how many apps whatever. */
export async function takeStock(d: Daemon, { boots, certificates, systems }: Sources): Promise<Stock> {
  const [process, rows, found, database, served, backup] = await Promise.all([
    loadOf(),
    countRows(d),
    systems(d),
    sizeOf(d, ['sluice.db', 'sluice.db-wal']),
    certificates(d),
    newestBackup(d),
  ])
  return {
    ...{ version, node: globalThis.process.versions.node, host: hostname(), process, ...rows },
    ...{ builds: d.queue.state(), boots: boots.state(), passes: d.runner.state(), drains: d.drains.state() },
    routers: routersOf(d),
    memory: { size: totalmem(), available: freemem() },
    ...{ fileSystems: found, disk: d.disk.measured, database, certificates: served, backup },
  }
}

const UNSETTLED = ['waiting', 'phase', 'booting', 'cutover'] as const
const NAMED = ['web', 'worker', 'release', 'run']
const OTHER = '(other)'

async function countRows({ db }: Daemon) {
  const [{ apps }, dynos, rollouts, { webhooks }] = await Promise.all([
    db
      .selectFrom('apps')
      .select(({ fn }) => fn.countAll<number>().as('apps'))
      .where('destroyed_at', 'is', null)
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('dynos')
      .select(({ fn }) => ['type', 'state', fn.countAll<number>().as('count')])
      .groupBy(['state', 'type'])
      .execute(),
    db
      .selectFrom('rollouts')
      .select(({ fn }) => ['state', fn.countAll<number>().as('count')])
      .where('state', 'in', UNSETTLED)
      .groupBy('state')
      .execute(),
    db
      .selectFrom('webhook_deliveries')
      .select(({ fn }) => fn.countAll<number>().as('webhooks'))
      .where(isOpen())
      .executeTakeFirstOrThrow(),
  ])
  return { apps, dynos: summed(dynos), rollouts, webhooks }
}

function summed(rows: Stock['dynos']): Stock['dynos'] {
  const sums = new Map<string, Stock['dynos'][number]>()
  for (const { type: given, state, count } of rows) {
    const type = NAMED.includes(given) ? given : OTHER
    const sum = sums.get(`${type} ${state}`) ?? { type, state, count: 0 }
    sums.set(`${type} ${state}`, sum)
    sum.count += count
  }
  return [...sums.values()]
}

function routersOf({ routers }: Daemon): Stock['routers'] {
  const all = routers.list()
  const connected = all.filter(({ state }) => state === 'connected')
  const lost = all.filter(({ state }) => state === 'lost').length
  return {
    connected: connected.length,
    awaited: all.length - connected.length - lost,
    lost,
    behind: Math.max(0, ...connected.map(({ behind }) => behind)),
  }
}

async function sizeOf({ config }: Daemon, names: string[]): Promise<number> {
  const found = await Promise.all(names.map((name) => stat(join(config.data, name)).catch(() => ({ size: 0 }))))
  return found.reduce((sum, { size }) => sum + size, 0)
}
