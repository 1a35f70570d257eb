import { type Counter, figures, type Histogram } from '../figures.ts'
import type { Family, Sample } from './exposition.ts'
import type { Stock } from './stock.ts'

/** What is shown to Prometheus: what was counted, and what there is. Pure. Bounds of the labels are in README.md. */
export const familiesOf = (stock: Stock): Family[] => [
  ...ofPlatform(stock),
  ...ofProcess(stock),
  ...Object.values(figures).map((one) => (one.kind === 'counter' ? ofCounter(one) : ofHistogram(one))),
]

function ofPlatform(stock: Stock): Family[] {
  const { dynos, rollouts, builds, boots, passes, drains, routers, memory, disk, backup } = stock
  const systems = stock.fileSystems
  return [
    gauge('sluice_build_info', 'What runs.', [{ labels: { version: stock.version, node: stock.node }, value: 1 }]),
    gauge('sluice_apps', 'Apps.', stock.apps),
    gauge(
      ...(['sluice_dynos', 'Dynos by type of process and state.'] as const),
      dynos.map(({ type, state, count }) => ({ labels: { type, state }, value: count })),
    ),
    gauge(
      ...(['sluice_releases_underway', 'Releases on their way to serve, by state.'] as const),
      rollouts.map(({ state, count }) => ({ labels: { state }, value: count })),
    ),
    gauge('sluice_builds_running', 'Builds that run.', builds.running),
    gauge('sluice_builds_waiting', 'Builds that wait for their turn.', builds.waiting),
    gauge('sluice_boots_running', 'Dynos that boot.', boots.booting),
    gauge('sluice_boots_waiting', 'Dynos that wait for their turn to boot.', boots.waiting),
    gauge('sluice_passes_running', 'Apps that are looked at now.', passes.running),
    gauge('sluice_apps_failing', 'Apps whose last look failed and is repeated.', passes.failing.length),
    gauge('sluice_drains', 'Log drains.', drains.open),
    gauge('sluice_drain_lines_waiting', 'Lines that log drains have not delivered yet.', drains.waiting),
    gauge('sluice_webhook_deliveries_waiting', 'Deliveries to webhooks that are to be attempted.', stock.webhooks),
    gauge('sluice_routers', 'Routers that are connected, or were and are awaited or lost.', [
      { labels: { state: 'connected' }, value: routers.connected },
      { labels: { state: 'awaited' }, value: routers.awaited },
      { labels: { state: 'lost' }, value: routers.lost },
    ]),
    gauge(
      'sluice_router_versions_behind',
      'Versions of the table that the slowest connected router lacks.',
      routers.behind,
    ),
    gauge('sluice_memory_bytes', 'Memory of the machine.', memory.size),
    gauge('sluice_memory_available_bytes', 'Memory that can be had without taking it from anybody.', memory.available),
    gauge('sluice_database_bytes', 'The database with its write-ahead log.', stock.database),
    gauge(
      ...(['sluice_disk_size_bytes', 'Size of the file system of the data folder and of the engine.'] as const),
      systems.map(({ place, size }) => ({ labels: { place }, value: size })),
    ),
    gauge(
      ...(['sluice_disk_free_bytes', 'What is left of it.'] as const),
      systems.map(({ place, free }) => ({ labels: { place }, value: free })),
    ),
    gauge(
      ...(['sluice_disk_held_bytes', 'What is kept, by kind, when it was measured last.'] as const),
      Object.entries(disk?.kinds ?? {}).map(([kind, value]) => ({ labels: { kind }, value })),
    ),
    gauge('sluice_disk_measured_timestamp_seconds', 'When that was.', disk ? disk.at / 1000 : []),
    gauge('sluice_certificates', 'Certificates that are served.', stock.certificates.length),
    gauge(
      'sluice_certificate_first_expiry_timestamp_seconds',
      'When the first of them ends.',
      stock.certificates.length > 0 ? Math.min(...stock.certificates.map(({ expiresAt }) => expiresAt)) / 1000 : [],
    ),
    gauge(
      ...(['sluice_backup_newest_timestamp_seconds', 'When the newest backup was begun.'] as const),
      backup.at === null ? [] : backup.at / 1000,
    ),
    gauge('sluice_backup_newest_bytes', 'Its size.', backup.at === null ? [] : backup.bytes),
    gauge('sluice_backup_failing', 'Whether the last attempt to make one failed.', Number(backup.failure !== null)),
  ]
}

/** Named as all programs name them, so that common dashboards show them. */
const ofProcess = ({ process: { resident, heap, cpu, startedAt, files } }: Stock): Family[] => [
  gauge('process_resident_memory_bytes', 'Resident memory.', resident),
  gauge('process_heap_bytes', "Bytes that JavaScript's objects take.", heap),
  gauge('process_open_fds', 'Open file descriptors.', files),
  gauge('process_start_time_seconds', 'When the process was started, since the epoch.', startedAt / 1000),
  { name: 'process_cpu_seconds_total', kind: 'counter', what: 'Time of processors.', samples: [{ value: cpu }] },
]

const gauge = (name: string, what: string, given: number | readonly Sample[]): Family => ({
  ...{ name, kind: 'gauge', what },
  samples: typeof given === 'number' ? [{ value: given }] : given,
})

const ofCounter = ({ name, what, series }: Counter): Family => ({ name, kind: 'counter', what, samples: series() })

const ofHistogram = ({ name, what, bounds, series }: Histogram): Family => ({
  ...{ name, kind: 'histogram', what },
  samples: series().flatMap(({ labels, buckets, sum }) => {
    let below = 0
    const cumulative = buckets.map((n, at) => {
      below += n
      return { suffix: '_bucket', labels: { ...labels, le: String(bounds[at] ?? '+Inf') }, value: below }
    })
    return [...cumulative, { suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: below }]
  }),
})
