import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Drains } from '../../router/drains.ts'
import { type Batch, Batches, Lines } from '../../router/lines.ts'
import { metricsText } from '../../router/metrics.ts'
import { parseUp, type Receipt, type Table } from '../../router/protocol.ts'
import { count, emptyTally, type Tally, Totals } from '../../router/tally.ts'

/** What many processes tell, as one. */

const receipt = (more: Partial<Receipt>): Receipt => ({ inFlight: 0, finished: 0, cut: 0, failed: 0, took: 0, ...more })
const backends = (mode: 'drain' | 'serve'): Table['apps'][number]['backends'] => [
  { id: 'd', dyno: 'web.1', address: '', port: 1, mode },
]
const table = (mode: 'drain' | 'serve'): Table => ({
  ...{ version: 1, challenges: [] },
  apps: [
    {
      ...{ id: 'app', name: 'app', hosts: [], certificates: [], maintenance: false, empty: 'none' },
      backends: backends(mode),
    },
  ],
})

function drainsOf(...members: { name: string }[]) {
  const told: Receipt[] = []
  const processes = new Set(members)
  const drains = new Drains(
    () => processes,
    (_, sum) => told.push(sum),
  )
  return { drains, told, processes }
}

test('a backend is drained when every process says so, with the sum of what they had', () => {
  const [a, b] = [{ name: 'a' }, { name: 'b' }]
  const { drains, told } = drainsOf(a, b)
  drains.follow(table('drain'))
  drains.hear(a, 'd', receipt({ inFlight: 2, finished: 1, cut: 1, took: 30 }))
  assert.equal(told, [])
  drains.hear(b, 'd', receipt({ inFlight: 1, failed: 1, took: 50 }))
  assert.equal(told, [{ inFlight: 3, finished: 1, cut: 1, failed: 1, took: 50 }])
  drains.report()
  assert.is(told.length, 2, 'it is told again when asked for')
})

test('a process that ends holds up no drain, and what it had told is kept', () => {
  const [a, b] = [{ name: 'a' }, { name: 'b' }]
  const { drains, told, processes } = drainsOf(a, b)
  drains.follow(table('drain'))
  drains.hear(a, 'd', receipt({ inFlight: 2, finished: 2, took: 30 }))
  processes.delete(a)
  drains.gone(a)
  assert.equal(told, [])
  drains.hear(b, 'd', receipt({ inFlight: 1, finished: 1, took: 50 }))
  assert.equal(told, [{ inFlight: 3, finished: 3, cut: 0, failed: 0, took: 50 }])
  processes.delete(b)
  drains.gone(b)
  assert.is(told.length, 1, 'nobody is left who could know')
})

test('a process that has come since must say so too; a drain that is taken back is forgotten', () => {
  const [a, b] = [{ name: 'a' }, { name: 'b' }]
  const { drains, told, processes } = drainsOf(a)
  drains.hear(a, 'd', receipt({ inFlight: 1 }))
  assert.equal(told, [], 'the table is not in force in all yet')
  drains.follow(table('drain'))
  processes.add(b)
  drains.report()
  assert.equal(told, [])
  drains.follow(table('serve'))
  drains.follow(table('drain'))
  drains.hear(b, 'd', receipt({}))
  assert.equal(told, [], 'what a has told was about the drain before')
  drains.hear(a, 'd', receipt({ inFlight: 4 }))
  assert.is(told[0]?.inFlight, 4)
})

function taken(lines: Lines): Batch {
  const batch = lines.take()
  if (batch === null) throw new Error('no batch')
  return batch
}

const linesIn = (text: Uint8Array) => {
  const message = parseUp(Buffer.from(text).toString())
  return message.kind === 'log' ? { lines: message.lines.map(({ at }) => at), dropped: message.dropped } : undefined
}

test('lines wait up to a bound; what is beyond is counted and told with the next that leave', () => {
  const lines = new Lines(3, 2)
  for (let n = 0; n < 5; n++) lines.add('a', n, String(n))
  const first = taken(lines)
  assert.equal(linesIn(first.text), { lines: [0, 1], dropped: 2 })
  assert.equal([first.lines, first.dropped], [2, 2])
  assert.equal(linesIn(taken(lines).text), { lines: [2], dropped: 0 })
  assert.is(lines.take(), null)
})

test('batches wait up to a bound of lines; the lines of those that find no room are told', () => {
  const lines = new Lines(100, 2)
  const batches = new Batches(4)
  for (let n = 0; n < 6; n++) lines.add('a', n, String(n))
  for (let batch = lines.take(); batch !== null; batch = lines.take()) batches.add(batch)
  assert.is(batches.lost, 2)
  assert.equal(
    batches.drain().map(({ text }) => linesIn(text)),
    [
      { lines: [], dropped: 2 },
      { lines: [0, 1], dropped: 0 },
      { lines: [2, 3], dropped: 0 },
    ],
  )
  for (let n = 0; n < 2; n++) lines.add('a', n, String(n))
  batches.add(taken(lines))
  assert.is(batches.drain().length, 1, 'there is room again')
})

test('what a worker has dropped is told too when its batch finds no room', () => {
  const lines = new Lines(2, 2)
  const batches = new Batches(1)
  for (let n = 0; n < 5; n++) lines.add('a', n, String(n))
  batches.add(taken(lines))
  assert.equal(
    batches.drain().map(({ text }) => linesIn(text)),
    [{ lines: [], dropped: 5 }],
  )
  assert.is(batches.lost, 2, 'the worker has counted the others')
})

const tally = (...statuses: number[]): Tally => {
  const counted = emptyTally()
  for (const status of statuses) count(counted, status / 100, { status, code: null, bytes: 1 })
  return counted
}

test('so many apps are counted by name, the others together; an app that is gone makes room and its counts stay', () => {
  const totals = new Totals(2)
  totals.add([
    { app: 'a', tally: tally(200, 200) },
    { app: 'b', tally: tally(404) },
    { app: 'c', tally: tally(500) },
  ])
  totals.add([{ app: 'a', tally: tally(200) }])
  assert.is(totals.apps.get('a')?.classes[2], 3)
  assert.is(totals.others.classes[5], 1)
  totals.keep((app) => app !== 'b')
  totals.add([{ app: 'c', tally: tally(503) }])
  assert.is(totals.apps.get('c')?.classes[5], 1)
  assert.equal(totals.others.classes, [0, 0, 0, 0, 1, 1])
  const all = [...totals.apps.values(), totals.others].flatMap(({ buckets }) => buckets)
  assert.is(
    all.reduce((sum, n) => sum + n, 0),
    6,
  )
})

test('latency is counted by bounds, a request that took just so long in the bucket of that bound', () => {
  const counted = emptyTally()
  for (const took of [0, 1, 2, 3, 30_000, 30_001]) count(counted, took, { status: 200, code: null, bytes: 0 })
  assert.equal(counted.buckets.slice(0, 3), [2, 1, 1])
  assert.equal(counted.buckets.slice(-2), [1, 1])
})

test('an app may be called other', () => {
  const text = metricsText({
    ...{ version: 1, daemon: true, workers: [], trouble: undefined, revivals: 0, lost: 0, others: tally(200) },
    ...{ asked: { passed: 7, failed: 1 }, unwell: [] },
    apps: [{ app: 'a', tally: tally(200) }],
    nameOf: () => 'other',
  })
  const series = text.split('\n').map((one) => one.replace(/ \S+$/, ''))
  const samples = series.filter((one) => one.startsWith('sluice_router_requests_total{'))
  assert.is(new Set(samples).size, 2)
})

test('a label cannot break out of its line, and a histogram is cumulative', () => {
  const text = metricsText({
    ...{ version: 1, daemon: true, workers: [], trouble: undefined, revivals: 0, lost: 0, others: emptyTally() },
    ...{ asked: { passed: 7, failed: 1 }, unwell: [{ app: 'a', dynos: 2, panic: true }] },
    apps: [{ app: 'a', tally: tally(100, 200, 300) }],
    nameOf: () => 'x"} 1\n\\',
  })
  assert.ok(text.includes('sluice_router_requests_total{app="x\\"} 1\\n\\\\",class="2xx"} 1\n'))
  const buckets = [...text.matchAll(/_bucket\{app="x.*le="([^"]+)"\} (\d+)/g)].map(([, le, n]) => `${le} ${n}`)
  assert.equal(buckets.slice(0, 3), ['0.001 1', '0.002 2', '0.005 3'])
  assert.is(buckets.at(-1), '+Inf 3')
  const lines = text.split('\n')
  for (const line of [
    'sluice_router_checks_total{result="passed"} 7',
    'sluice_router_checks_total{result="failed"} 1',
    'sluice_router_unwell_dynos{app="x\\"} 1\\n\\\\"} 2',
    'sluice_router_panic{app="x\\"} 1\\n\\\\"} 1',
  ])
    assert.ok(lines.includes(line), line)
})

test.run()
