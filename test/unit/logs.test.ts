import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { formatLine, type Line } from '../../daemon/logs/line.ts'
import { createLogs, type Entry } from '../../daemon/logs/logs.ts'

const silent = createLog(() => {})
let data = ''
test.before.each(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-logs-'))
})
test.after.each(() => rm(data, { recursive: true }))

const open = () => createLogs({ data }, silent)
const line = (text: string, dyno = 'web.1', source: Line['source'] = 'app'): Line => ({ at: 1000, source, dyno, text })
const texts = (lines: { text: string }[]): string[] => lines.map(({ text }) => text)

/** The next `n` entries, then no more. */
async function take(entries: AsyncIterable<Entry>, n: number): Promise<string[]> {
  const taken: string[] = []
  for await (const entry of entries) if (taken.push(entry.line.text) === n) break
  return taken
}

test('a line reads as one of Heroku', () => {
  const at = Date.UTC(2026, 10, 23, 6, 57, 42, 358)
  assert.is(formatLine({ ...line('hello'), at }), '2026-11-23T06:57:42.358000+00:00 app[web.1]: hello')
})

test('recent gives the last lines that match, oldest first', async () => {
  const logs = open()
  for (const n of [1, 2, 3]) logs.write('a', line(`web ${n}`))
  logs.write('a', line('job', 'worker.1'))
  logs.write('a', line('up', 'web.1', 'heroku'))
  logs.write('b', line('other app'))
  assert.equal(texts(logs.recent('a', {}, 2)), ['job', 'up'])
  assert.equal(texts(logs.recent('a', { dyno: 'web' }, 10)), ['web 1', 'web 2', 'web 3', 'up'])
  assert.equal(texts(logs.recent('a', { dyno: 'web.1', source: 'app' }, 1)), ['web 3'])
  assert.equal(logs.recent('a', { dyno: 'we' }, 10), [])
  assert.equal(logs.recent('a', {}, 0), [])
  await logs.close()
})

test('lines survive a restart, and their numbers grow over it', async () => {
  const first = open()
  first.write('a', line('before'))
  const [before] = first.recent('a', {}, 1)
  await first.close()
  const second = open()
  second.write('a', line('after'))
  const lines = second.recent('a', {}, 10)
  assert.equal(texts(lines), ['before', 'after'])
  assert.is(lines[0]?.seq, before?.seq)
  assert.ok((lines[1]?.seq ?? 0) > (before?.seq ?? 0))
  await second.close()
})

test('a line that a power cut has torn is left out, and the next one is whole', async () => {
  const first = open()
  first.write('a', line('whole'))
  await first.close()
  await appendFile(join(data, 'logs', 'a', 'current'), '[17,1000,"app","web.1","to')
  const second = open()
  second.write('a', line('next'))
  await second.close()
  const third = open()
  assert.equal(texts(third.recent('a', {}, 10)), ['whole', 'next'])
  await third.close()
})

test('lines of a batch that a kill has cut off are read again, and so are not there twice', async () => {
  const first = open()
  first.write('a', line('whole'), { dyno: 'd1', stream: 'stdout', at: 5, count: 1 })
  await first.close()
  await appendFile(join(data, 'logs', 'a', 'current'), '[17,1000,"app","web.1","cut off"]\n')
  const second = open()
  assert.equal(second.positions('a', 'd1'), [{ dyno: 'd1', stream: 'stdout', at: 5, count: 1 }])
  second.write('a', line('cut off'), { dyno: 'd1', stream: 'stdout', at: 6, count: 1 })
  await second.close()
  const third = open()
  assert.equal(texts(third.recent('a', {}, 10)), ['whole', 'cut off'])
  await third.close()
})

test('lines that a disk did not take are told once it takes some again', async () => {
  const logs = open()
  await writeFile(join(data, 'logs'), 'in the way')
  const shown = take(logs.follow('a', {}, new AbortController().signal, 0), 2)
  for (const text of ['one', 'two']) logs.write('a', line(text))
  assert.equal(await shown, ['one', 'two'])
  await rm(join(data, 'logs'))
  logs.write('a', line('three'))
  await take(logs.follow('a', {}, new AbortController().signal, logs.recent('a', {}, 2)[0]?.seq), 1)
  logs.write('a', line('four'))
  assert.match(logs.recent('a', {}, 1)[0]?.text ?? '', /^Error L13: 2 messages lost since .* could not be stored\.$/)
  await logs.close()
})

test('no more lines are kept than the limit, in memory and on disk', async () => {
  const long = 'x'.repeat(2000)
  for (let round = 0; round < 8; round++) {
    const logs = open()
    for (let n = 0; n < limits.logLinesKept; n++) logs.write('a', line(`${round}.${n} ${long}`))
    assert.is(logs.recent('a', {}, 1e6).length, limits.logLinesKept)
    await logs.close()
  }
  const folder = join(data, 'logs', 'a')
  const names = await readdir(folder)
  assert.ok(names.every((name) => ['current', 'previous'].includes(name)))
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size))
  assert.ok(Math.max(...sizes) < 12 * 1024 * 1024, `files of ${sizes} bytes`)
  const again = open()
  assert.is(again.recent('a', {}, 1)[0]?.text.split(' ')[0], `7.${limits.logLinesKept - 1}`)
  await again.close()
})

test('a follower gets what is written from now on', async () => {
  const logs = open()
  logs.write('a', line('old'))
  const following = take(logs.follow('a', { dyno: 'web' }, new AbortController().signal), 2)
  for (const text of ['one', 'two']) logs.write('a', line(text))
  logs.write('a', line('not mine', 'worker.1'))
  assert.equal(await following, ['one', 'two'])
  await logs.close()
})

test('a follower that comes back gets what it has missed, once', async () => {
  const logs = open()
  for (const text of ['one', 'two', 'three']) logs.write('a', line(text))
  const [one] = logs.recent('a', {}, 3)
  assert.equal(await take(logs.follow('a', {}, new AbortController().signal, one?.seq), 2), ['two', 'three'])
  await logs.close()
})

test('a follower may fall behind further than what is kept for all', async () => {
  const logs = open()
  const entries = logs.follow('a', {}, new AbortController().signal)[Symbol.asyncIterator]()
  const first = entries.next()
  const all = limits.logLinesKept * 4
  for (let n = 0; n < all; n++) logs.write('a', line(String(n)))
  assert.is((await first).value?.line.text, '0')
  for (let n = 1; n < all; n++) assert.is((await entries.next()).value?.line.text, String(n))
  await logs.close()
})

test('a follower that is too slow is told how many lines went by', async () => {
  const logs = open()
  const entries = logs.follow('a', {}, new AbortController().signal)[Symbol.asyncIterator]()
  const first = entries.next()
  const long = 'x'.repeat(5000)
  for (let n = 0; n < 2000; n++) logs.write('a', line(`${n} ${long}`))
  const notice = (await first).value
  const [, count] =
    /^Error L10 \(output buffer overflow\): (\d+) messages dropped since /.exec(notice?.line.text ?? '') ?? []
  assert.is(notice?.loss?.count, Number(count))
  assert.is((await entries.next()).value?.line.text.split(' ')[0], count)
  await logs.close()
})

test('a follower that comes back too late is told what it can no longer get', async () => {
  const logs = open()
  logs.write('a', line('seen'))
  const [seen] = logs.recent('a', {}, 1)
  for (let n = 0; n < 3000; n++) logs.write('a', line(String(n)))
  const [notice, next] = await take(logs.follow('a', {}, new AbortController().signal, seen?.seq), 2)
  assert.is(notice?.replace(/since .*/, ''), `Error L10 (output buffer overflow): ${next} messages dropped `)
  await logs.close()
})

test('a follower gets no line before it is on disk', async () => {
  const logs = open()
  logs.write('a', line('one'))
  assert.is(logs.stored('a'), 0)
  assert.equal(texts(logs.recent('a', {}, 1)), ['one'])
  assert.equal(await take(logs.follow('a', {}, new AbortController().signal, 0), 1), ['one'])
  assert.is(logs.stored('a'), logs.recent('a', {}, 1)[0]?.seq)
  assert.match(await readFile(join(data, 'logs', 'a', 'current'), 'utf8'), /"one"/)
  await logs.close()
})

test('a line break within a line makes no second one', async () => {
  const logs = open()
  logs.write('a', line('Starting process with command `one\r\ntwo\rthree`'))
  assert.equal(texts(logs.recent('a', {}, 1)), ['Starting process with command `one two three`'])
  await logs.close()
})

test('a follower ends when it is no longer wanted, when the app goes, and when the daemon stops', async () => {
  const logs = open()
  const stopping = new AbortController()
  const stopped = take(logs.follow('a', {}, stopping.signal), 1)
  const removed = take(logs.follow('b', {}, new AbortController().signal), 1)
  const closed = take(logs.follow('c', {}, new AbortController().signal), 1)
  stopping.abort()
  await logs.remove('b')
  await logs.close()
  assert.equal(await Promise.all([stopped, removed, closed]), [[], [], []])
})

test('the logs of a removed app are gone, and a late line does not bring them back', async () => {
  const logs = open()
  logs.write('a', line('secret'))
  await logs.remove('a')
  logs.write('a', line('late'))
  assert.equal(logs.recent('a', {}, 10), [])
  await logs.close()
  assert.equal(await readdir(join(data, 'logs')).catch(() => []), [])
})

test('the position of a dyno survives a restart, also when its lines were rotated away', async () => {
  const first = open()
  first.write('a', line('quiet', 'web.1'), { dyno: 'd1', stream: 'stderr', at: 5.25, count: 2 })
  await first.close()
  for (let round = 0; round < 3; round++) {
    const noisy = open()
    for (let n = 0; n < 900; n++) noisy.write('a', line('y'.repeat(9000), 'worker.1'))
    await noisy.close()
  }
  const second = open()
  assert.equal(second.positions('a', 'd1'), [{ dyno: 'd1', stream: 'stderr', at: 5.25, count: 2 }])
  assert.equal(second.positions('a', 'd2'), [])
  await second.close()
})

test('lines that cannot be stored are still shown', async () => {
  await writeFile(join(data, 'logs'), 'in the way')
  const logs = open()
  logs.write('a', line('shown'))
  assert.equal(texts(logs.recent('a', {}, 1)), ['shown'])
  await logs.close()
  assert.is(await readFile(join(data, 'logs'), 'utf8'), 'in the way')
})

test('a flush waits for what was there, not for what keeps coming', async () => {
  const logs = createLogs({ data }, silent)
  const write = () => logs.write('a', { at: 0, source: 'app', dyno: 'web.1', text: 'x'.repeat(100) })
  let coming = true
  const more = () => {
    for (let count = 0; count < 200; count++) write()
    if (coming) setImmediate(more)
  }
  more()
  await logs.flush()
  assert.ok(coming)
  coming = false
  await logs.close()
})

test.run()
