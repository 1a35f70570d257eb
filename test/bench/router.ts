import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import type { Table } from '../../router/protocol.ts'
import { measureTables } from './router-hosts.ts'
import { type Load, loads, type Measured, measure } from './router-loads.ts'
import {
  type Candidate,
  HOST,
  installed,
  pinSelf,
  type Sluice,
  startPeers,
  startSluice,
  startUpstream,
} from './router-proxies.ts'
import { measureIdle, startQuietDyno } from './router-sockets.ts'
import { median, show } from './table.ts'

const SECONDS = 3

/**
 * The router beside other proxies: each in turn on a processor of its own before the same upstream, A B C … C B A, so that what else the
 * machine does falls on all of them alike. Ratios are of the same round.
 */
export async function measureRouter(
  print: (line: string) => void,
  { rounds = 5, part = '' }: { rounds?: number; part?: string } = {},
): Promise<void> {
  pinSelf()
  const data = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  await ensureCertificates({ data, domain: 'localhost', api: { hosts: [] } })
  const quiet = await startQuietDyno()
  const upstream = await startUpstream(data, quiet.port)
  const sluice = await startSluice(data)
  const { proxies: peers, missing } = await startPeers(data, upstream.port)
  const proxies = [sluice, ...peers]
  try {
    await sluice.apply(oneApp(upstream.port))
    for (const name of missing) print(`${name} is not installed here; the table goes without it.`)
    for (const load of loads.filter(({ what }) => what.includes(part))) {
      if (!installed(load.needs)) print(`${load.needs} is not installed here, so there is no row "${load.what}".`)
      else for (const line of lines(load, await inTurn(load, proxies, rounds))) print(line)
    }
    if ('idle WebSockets'.includes(part)) for (const line of await idleLines(proxies)) print(line)
    if ('a table of 10,000 hosts'.includes(part))
      for (const line of await tableLines(sluice, oneApp(upstream.port))) print(line)
    print(
      `${cpus().length} CPUs (${cpus()[0]?.model.trim()}), Node.js ${process.version}; ${rounds} rounds of ${SECONDS} s`,
    )
  } finally {
    for (const proxy of proxies) proxy.stop()
    upstream.stop()
    quiet.stop()
    await rm(data, { recursive: true, force: true })
  }
}

async function idleLines(proxies: Candidate[]): Promise<string[]> {
  const found = ['idle WebSockets']
  for (const proxy of proxies) {
    const { sockets, each, whole } = await measureIdle(proxy)
    found.push(`  ${proxy.name.padEnd(8)} ${each.toFixed(1)} KiB each of ${sockets}, ${Math.round(whole)} MB in all`)
  }
  return found
}

async function tableLines(sluice: Sluice, table: Omit<Table, 'version'>): Promise<string[]> {
  const { hosts, usual, daemon, steps } = await measureTables(sluice, table)
  const rows = steps.map(({ what, made, kept, worst }) => {
    const cells = [`in force ${show(made)}`, `acknowledged ${show(kept)}`, `worst request meanwhile ${show(worst)}`]
    return `  ${what.padEnd(28)}${cells.map((cell) => cell.padStart(20)).join('  ')}`
  })
  const last = `  the daemon makes a change of one app in ${show(daemon)}; worst request before: ${show(usual)}`
  return [`a table of ${hosts} hosts`, ...rows, last]
}

export const oneApp = (port: number): Omit<Table, 'version'> => ({
  challenges: [],
  apps: [
    {
      ...{ id: 'app', name: 'a', hosts: [HOST], certificates: [], maintenance: false, empty: 'none' },
      backends: [{ id: 'dyno', dyno: 'web.1', address: '127.0.0.1', port, mode: 'serve' }],
    },
  ],
})

type Rounds = Map<string, (Measured | undefined)[]>

async function inTurn(load: Load, proxies: Candidate[], rounds: number): Promise<Rounds> {
  const seen: Rounds = new Map(proxies.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const proxy of round % 2 === 0 ? proxies : proxies.toReversed())
      seen.get(proxy.name)?.push(await measure(load, proxy, SECONDS))
  return seen
}

function lines(load: Load, seen: Rounds): string[] {
  const base = seen.get('nginx') ?? []
  const rows = [...seen].map(([name, all]) => {
    const runs = all.filter((one) => one !== undefined)
    if (runs.length === 0) return `  ${name.padEnd(8)} cannot`
    const of = (key: keyof Measured): number => median(runs.map((one) => one[key]))
    const ratios = all.flatMap((one, round) => {
      const peer = base[round]
      return one === undefined || peer === undefined ? [] : [one.perCpu / peer.perCpu]
    })
    const amount = load.unit === 'MB' ? 'MB' : 'req'
    const cells = [
      `${Math.round(of('perCpu'))} ${amount}/CPU-s`,
      `${median(ratios).toFixed(2)} of nginx`,
      `${Math.round(of('perSecond'))} ${amount}/s`,
      `p50 ${of('p50').toFixed(2)} ms`,
      `p99 ${of('p99').toFixed(2)} ms`,
      `${Math.round(of('memory'))} MB`,
    ]
    return `  ${name.padEnd(8)} ${cells.map((cell) => cell.padStart(16)).join('')}`
  })
  return [load.what, ...rows]
}
