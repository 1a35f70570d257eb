/**
 * What the daemon counts while it works: in memory, from its start on, shown by `watch/metrics.ts`. Labels are closed sets or words of our
 * own code (a route's pattern, the first word of what the engine is asked), never what users choose, so there are so many lines and no more.
 */
type Labels = Readonly<Record<string, string>>

export interface Counter<L extends Labels = Labels> {
  readonly kind: 'counter'
  readonly name: string
  readonly what: string
  add(labels: L, n?: number): void
  series(): { labels: L; value: number }[]
}

export interface Histogram<L extends Labels = Labels> {
  readonly kind: 'histogram'
  readonly name: string
  readonly what: string
  /** Upper bounds, seconds. */
  readonly bounds: readonly number[]
  observe(labels: L, seconds: number): void
  /** `buckets`: how many were within each bound and not the one before; one more for all beyond. */
  series(): { labels: L; buckets: readonly number[]; sum: number }[]
}

/** `known` labels are shown from the start, at 0, so that the first event is seen as an increase. */
export function counter<L extends Labels>(name: string, what: string, known: readonly L[] = []): Counter<L> {
  const series = byLabels(known, (labels) => ({ labels, value: 0 }))
  return {
    ...{ kind: 'counter', name, what },
    add(labels, n = 1) {
      series.of(labels).value += n
    },
    series: series.all,
  }
}

export function histogram<L extends Labels>(
  name: string,
  what: string,
  { bounds, known = [] }: { bounds: readonly number[]; known?: readonly L[] },
): Histogram<L> {
  const series = byLabels(known, (labels) => ({ labels, buckets: Array<number>(bounds.length + 1).fill(0), sum: 0 }))
  return {
    ...{ kind: 'histogram', name, what, bounds },
    observe(labels, seconds) {
      const one = series.of(labels)
      const bucket = bounds.findIndex((bound) => seconds <= bound)
      const at = bucket === -1 ? bounds.length : bucket
      one.buckets[at] = (one.buckets[at] ?? 0) + 1
      one.sum += seconds
    },
    series: series.all,
  }
}

function byLabels<L extends Labels, One>(known: readonly L[], make: (labels: L) => One) {
  const all = new Map<string, One>()
  const of = (labels: L): One => {
    const key = JSON.stringify(Object.values(labels))
    const one = all.get(key) ?? make(labels)
    all.set(key, one)
    return one
  }
  for (const labels of known) of(labels)
  return { of, all: () => [...all.values()] }
}

const results = [{ result: 'succeeded' }, { result: 'failed' }] as const
type Result = (typeof results)[number]

const QUICK = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10, 60]

export const figures = {
  requests: counter<{ method: string; route: string; class: string }>(
    'sluice_api_requests_total',
    "Requests to the API by the route's pattern and class of the status.",
  ),
  answers: histogram<{ method: string; route: string }>(
    'sluice_api_request_seconds',
    'From the head of a request to the API to the head of its answer.',
    { bounds: QUICK },
  ),
  engineCalls: histogram<{ call: string; result: 'ok' | 'refused' | 'silent' }>(
    'sluice_engine_call_seconds',
    'Calls to the engine by what is asked: answered, refused, or without an answer.',
    { bounds: QUICK },
  ),
  builds: histogram<{ result: 'succeeded' | 'failed' | 'canceled' }>(
    'sluice_build_seconds',
    'Builds that have ended, by result, with the wait for their turn.',
    { bounds: [1, 5, 15, 30, 60, 120, 300, 900], known: [...results, { result: 'canceled' }] },
  ),
  releases: counter<Result | { result: 'superseded' }>(
    'sluice_releases_total',
    'Releases that came to serve, failed to, or were superseded by a later one on their way.',
    [...results, { result: 'superseded' }],
  ),
  cutovers: histogram<Record<never, string>>(
    'sluice_cutover_seconds',
    'From the table that sends requests to a new release until every router follows it.',
    { bounds: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30], known: [{}] },
  ),
  passes: counter<Result>('sluice_passes_total', 'Looks at one app (wanted, there, steps between them).', results),
  logLines: counter<Record<never, string>>('sluice_log_lines_total', "Lines that were taken into apps' logs.", [{}]),
  logLoss: counter<{ where: 'dyno' | 'disk' | 'drain' | 'tail' }>(
    'sluice_log_lines_dropped_total',
    'Lines that were dropped: printed too fast, or not stored, or passed by a drain or a tail that is too slow.',
    [{ where: 'dyno' }, { where: 'disk' }, { where: 'drain' }, { where: 'tail' }],
  ),
  drainLines: counter<Record<never, string>>('sluice_drain_lines_total', 'Lines that log drains took.', [{}]),
  webhooks: counter<Result>('sluice_webhook_attempts_total', 'Attempts to deliver to a webhook.', results),
  lag: histogram<Record<never, string>>('sluice_event_loop_lag_seconds', 'How late a timer of one second was.', {
    bounds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
    known: [{}],
  }),
} as const
