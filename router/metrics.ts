import { limits } from './limits.ts'
import type { Asked } from './rounds.ts'
import { type AppTally, bounds, type Tally } from './tally.ts'

/** What a router can say of itself at one moment. */
export interface Figures {
  /** 0 when there has never been a table. */
  version: number
  daemon: boolean
  workers: { pid: number; connections: number }[]
  /** Why requests may be held up. */
  trouble: string | undefined
  revivals: number
  lost: number
  /** Health checks of dynos that serve, since the start. */
  asked: Asked
  /** Apps with dynos whose checks fail now; `panic`: so many that all get requests. */
  unwell: { app: string; dynos: number; panic: boolean }[]
  apps: AppTally[]
  /** Of apps that are not counted by themselves. */
  others: Tally
  nameOf(app: string): string
}

export function troubleOf({ version, trouble }: Figures): string | undefined {
  return version === 0 ? 'no table has come from the daemon yet' : trouble
}

/** Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/). Pure. */
export function metricsText(figures: Figures): string {
  const { apps, others, workers, asked, nameOf } = figures
  const unwell = figures.unwell.slice(0, limits.countedApps).map((one) => ({ ...one, app: nameOf(one.app) }))
  const tallies = [...apps.map(({ app, tally }) => ({ app: nameOf(app), tally })), { app: OTHERS, tally: others }]
  return [
    ...family('sluice_router_requests_total', 'counter', 'Requests by app and class of the status.', requests(tallies)),
    ...family(
      'sluice_router_errors_total',
      'counter',
      "Requests that ended with one of Heroku's codes.",
      errors(tallies),
    ),
    ...family('sluice_router_response_bytes_total', 'counter', 'Bytes of responses.', bytes(tallies)),
    ...family('sluice_router_request_seconds', 'histogram', 'From the head of a request to its end.', latency(tallies)),
    ...family(
      ...(['sluice_router_connections', 'gauge', 'Open connections of clients.'] as const),
      workers.map(({ pid, connections }) => sample('', { worker: String(pid) }, connections)),
    ),
    ...family('sluice_router_checks_total', 'counter', 'Health checks of dynos that serve, by result.', [
      sample('', { result: 'passed' }, asked.passed),
      sample('', { result: 'failed' }, asked.failed),
    ]),
    ...family(
      ...(['sluice_router_unwell_dynos', 'gauge', 'Dynos that fail a health check, of apps that have any.'] as const),
      unwell.map(({ app, dynos }) => sample('', { app }, dynos)),
    ),
    ...family(
      ...(['sluice_router_panic', 'gauge', 'Whether so many of its dynos fail that all get requests.'] as const),
      unwell.map(({ app, panic }) => sample('', { app }, Number(panic))),
    ),
    ...single('sluice_router_log_lines_dropped_total', 'counter', 'Log lines that found no room.', figures.lost),
    ...single('sluice_router_worker_revivals_total', 'counter', 'Workers that had to be replaced.', figures.revivals),
    ...single('sluice_router_table_version', 'gauge', 'Version of the table in force.', figures.version),
    ...single('sluice_router_daemon_connected', 'gauge', 'Whether the daemon is connected.', Number(figures.daemon)),
    '',
  ].join('\n')
}

/** No app has such a name: two samples with the same labels would be one too many. */
const OTHERS = '(other)'

type Named = { app: string; tally: Tally }[]
/** Suffix, labels and value of a line. */
type Sample = string

const requests = (tallies: Named): Sample[] =>
  tallies.flatMap(({ app, tally }) =>
    tally.classes.flatMap((n, digit) =>
      n > 0 ? [sample('', { app, class: digit > 0 ? `${digit}xx` : 'none' }, n)] : [],
    ),
  )

const errors = (tallies: Named): Sample[] =>
  tallies.flatMap(({ app, tally }) => Object.entries(tally.codes).map(([code, n]) => sample('', { app, code }, n)))

const bytes = (tallies: Named): Sample[] => tallies.map(({ app, tally }) => sample('', { app }, tally.bytes))

const latency = (tallies: Named): Sample[] =>
  tallies.flatMap(({ app, tally }) => {
    let below = 0
    const buckets = tally.buckets.map((n, i) => {
      below += n
      const bound = bounds[i]
      return sample('_bucket', { app, le: bound === undefined ? '+Inf' : String(bound / 1000) }, below)
    })
    return [...buckets, sample('_sum', { app }, tally.took / 1000), sample('_count', { app }, below)]
  })

const sample = (suffix: string, labels: { [name: string]: string }, value: number): Sample =>
  `${suffix}{${Object.entries(labels)
    .map(([name, text]) => `${name}="${text.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`)
    .join(',')}} ${value}`

const family = (name: string, type: string, what: string, samples: Sample[]): string[] =>
  samples.length === 0 ? [] : [`# HELP ${name} ${what}`, `# TYPE ${name} ${type}`, ...samples.map((one) => name + one)]

const single = (name: string, type: string, what: string, value: number): string[] =>
  family(name, type, what, [` ${value}`])
