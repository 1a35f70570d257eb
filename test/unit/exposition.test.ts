import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { counter, histogram } from '../../daemon/figures.ts'
import { type Family, textOf } from '../../daemon/watch/exposition.ts'
import { familiesOf } from '../../daemon/watch/metrics.ts'
import type { Stock } from '../../daemon/watch/stock.ts'
import { readExposition } from './exposition.ts'

const NOTHING: Stock = {
  ...{ version: '1', node: '20', host: 'here', apps: 0, dynos: [], rollouts: [], webhooks: 0, fileSystems: [] },
  process: { resident: 1, heap: 1, cpu: 0.5, startedAt: 1000, files: 3 },
  ...{ builds: { running: 0, waiting: 0 }, boots: { booting: 0, waiting: 0 }, passes: { running: 0, failing: [] } },
  ...{
    drains: { open: 0, waiting: 0 },
    routers: { connected: 0, awaited: 0, lost: 0, behind: 0 },
    memory: { size: 2, available: 1 },
  },
  ...{ disk: undefined, database: 0, certificates: [] },
  backup: { at: null, bytes: 0, count: 0, failure: null },
}

test('a label may hold any text, and stays one line', () => {
  const odd = 'a "quoted" \\ word\nand a line'
  const family: Family = { name: 'odd', kind: 'gauge', what: 'Odd.', samples: [{ labels: { what: odd }, value: 1.5 }] }
  const text = textOf([family])
  assert.is(text, '# HELP odd Odd.\n# TYPE odd gauge\nodd{what="a \\"quoted\\" \\\\ word\\nand a line"} 1.5\n')
  assert.is(readExposition(text).samples.size, 1)
})

test('a histogram has each value in the bucket of the first bound that is not below it, and in all above', () => {
  const took = histogram<{ result: string }>('took_seconds', 'Took.', { bounds: [1, 2], known: [{ result: 'bad' }] })
  for (const seconds of [0.5, 1, 1.5, 3]) took.observe({ result: 'good' }, seconds)
  assert.equal(took.series(), [
    { labels: { result: 'bad' }, buckets: [0, 0, 0], sum: 0 },
    { labels: { result: 'good' }, buckets: [2, 1, 1], sum: 6 },
  ])
})

test('a counter shows what is known from the start, and adds up by labels', () => {
  const ends = counter<{ result: string }>('ends_total', 'Ends.', [{ result: 'bad' }])
  ends.add({ result: 'good' })
  ends.add({ result: 'good' }, 2)
  assert.equal(ends.series(), [
    { labels: { result: 'bad' }, value: 0 },
    { labels: { result: 'good' }, value: 3 },
  ])
})

test('a platform without anything is told in the format, with zeros where something may come', () => {
  const { samples, types } = readExposition(textOf(familiesOf(NOTHING)))
  assert.is(samples.get('sluice_apps'), 0)
  assert.is(samples.get('sluice_releases_total{result="failed"}'), 0)
  assert.is(samples.get('sluice_build_seconds_count{result="canceled"}'), 0)
  assert.is(samples.get('sluice_build_info{version="1",node="20"}'), 1)
  assert.not(types.has('sluice_dynos'), 'nothing is told of what nobody knows')
  assert.not(types.has('sluice_disk_measured_timestamp_seconds'))
  assert.not(types.has('sluice_certificate_first_expiry_timestamp_seconds'))
})

test('the reader refuses what Prometheus would', () => {
  const head = '# HELP a A.\n# TYPE a gauge\n'
  const histogram = '# HELP h H.\n# TYPE h histogram\n'
  for (const wrong of [
    `${head}a 1`,
    `${head}a 1\na 1\n`,
    `${head}b 1\n`,
    `${head}a{b="c} 1\n`,
    `${head}a one\n`,
    '# TYPE a gauge\na 1\n',
    '# HELP a A.\n# TYPE a counter\na 1\n',
    `${histogram}h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n`,
    `${histogram}h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n`,
    `${histogram}h_bucket{le="1"} 1\nh_sum 1\nh_count 1\n`,
  ])
    assert.throws(() => readExposition(wrong), undefined, wrong)
  assert.equal([...readExposition(`${head}a{b="c"} 1\n`).samples], [['a{b="c"}', 1]])
})

test.run()
