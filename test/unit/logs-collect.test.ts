import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { LogChunk } from '../../daemon/engine/engine.ts'
import { createLog } from '../../daemon/log.ts'
import { createCollector } from '../../daemon/logs/collect.ts'
import { createLogs } from '../../daemon/logs/logs.ts'
import { createSplitter } from '../../daemon/logs/split.ts'

const silent = createLog(() => {})
let data = ''
test.before.each(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-collect-'))
})
test.after.each(() => rm(data, { recursive: true }))

const chunk = (at: number, text: string | Buffer, stream: LogChunk['stream'] = 'stdout'): LogChunk => ({
  at,
  stream,
  data: Buffer.from(text as string),
})
const dyno = { id: 'd1', app: 'a', name: 'web.1', since: 0 }

/** An engine whose dyno has written these chunks; each reading takes the next script, `'broken'` breaks it. */
function engineOf(...scripts: (LogChunk | 'broken')[][]) {
  const asked: number[] = []
  return {
    asked,
    async *logs(_: string, since: number) {
      const script = scripts[Math.min(asked.length, scripts.length - 1)] ?? []
      asked.push(since)
      for (const step of script) {
        if (step === 'broken') throw new Error('the engine went away')
        if (step.at >= since) yield step
      }
    },
  }
}

async function collect(engine: ReturnType<typeof engineOf>, logs = createLogs({ data }, silent)): Promise<string[]> {
  const collector = createCollector(engine, logs, silent)
  collector.follow(dyno)
  await collector.settled(dyno.id)
  await collector.close()
  const texts = logs.recent('a', {}, 1000).map(({ text }) => text)
  await logs.close()
  return texts
}

test('chunks become lines of the dyno, with the times of the engine', async () => {
  const logs = createLogs({ data }, silent)
  const collector = createCollector(engineOf([chunk(5, 'one\ntw'), chunk(7, 'o\n'), chunk(9, 'rest')]), logs, silent)
  collector.follow(dyno)
  await collector.settled('d1')
  const lines = logs.recent('a', {}, 10).map(({ at, source, dyno: name, text }) => [at, source, name, text])
  assert.equal(lines, [
    [5, 'app', 'web.1', 'one'],
    [7, 'app', 'web.1', 'two'],
    [9, 'app', 'web.1', 'rest'],
  ])
  assert.equal(collector.tail('d1'), ['one', 'two', 'rest'])
  await logs.close()
})

test('stdout and stderr do not mix within a line', async () => {
  const script = [chunk(1, 'out'), chunk(1, 'err\n', 'stderr'), chunk(2, 'put\n')]
  assert.equal(await collect(engineOf(script)), ['err', 'output'])
})

test('a reading that breaks goes on where it stopped: no line is missing, none is there twice', async () => {
  const all = [chunk(1, 'a\n'), chunk(2, 'b\n'), chunk(2, 'c\n'), chunk(2, 'd\n'), chunk(3, 'e\n')]
  assert.equal(await collect(engineOf([...all.slice(0, 3), 'broken'], all)), ['a', 'b', 'c', 'd', 'e'])
})

test('a restarted daemon goes on where the one before has stopped', async () => {
  const all = [chunk(1, 'a\n'), chunk(2, 'b\nc\n'), chunk(2, 'd\n'), chunk(3, 'e\n')]
  await collect(engineOf(all.slice(0, 2)))
  const engine = engineOf(all)
  assert.equal(await collect(engine), ['a', 'b', 'c', 'd', 'e'])
  assert.equal(engine.asked, [2])
})

test('the same text at the same time from another dyno is another line', async () => {
  await collect(engineOf([chunk(1, 'same\n')]))
  const logs = createLogs({ data }, silent)
  const collector = createCollector(engineOf([chunk(1, 'same\n')]), logs, silent)
  collector.follow({ ...dyno, id: 'd2' })
  await collector.settled('d2')
  assert.is(logs.recent('a', {}, 10).length, 2)
  await logs.close()
})

test('following twice reads once; following an ended dyno again repeats nothing', async () => {
  const logs = createLogs({ data }, silent)
  const engine = engineOf([chunk(1, 'a\n')])
  const collector = createCollector(engine, logs, silent)
  collector.follow(dyno)
  collector.follow(dyno)
  await collector.settled('d1')
  assert.is(engine.asked.length, 1)
  collector.follow(dyno)
  await collector.settled('d1')
  assert.is(logs.recent('a', {}, 10).length, 1)
  await logs.close()
})

test('a tee gets the same lines', async () => {
  const logs = createLogs({ data }, silent)
  const collector = createCollector(engineOf([chunk(1, 'a\nb')]), logs, silent)
  const teed: string[] = []
  collector.follow(dyno, { write: (text) => void teed.push(String(text)), end: async () => {} })
  await collector.settled('d1')
  assert.is(teed.join(''), 'a\nb\n')
  await logs.close()
})

test('what is still being read is given up after two seconds, and at once when nobody reads', async () => {
  const engine = {
    async *logs(_: string, __: number, signal: AbortSignal): AsyncGenerator<LogChunk> {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    },
  }
  const logs = createLogs({ data }, silent)
  const collector = createCollector(engine, logs, silent)
  const started = performance.now()
  await collector.settled('nobody')
  assert.ok(performance.now() - started < 1000)
  collector.follow(dyno)
  await collector.settled('d1')
  const waited = performance.now() - started
  assert.ok(waited > 1900 && waited < 4000, `waited ${waited} ms`)
  await collector.close()
  await logs.close()
})

const split = (max: number, ...chunks: (string | Buffer)[]): string[] => {
  const splitter = createSplitter(max)
  return [...chunks.flatMap((part) => splitter.push(Buffer.from(part as string))), ...splitter.end()]
}

test('lines end at a newline, wherever the chunks end', () => {
  assert.equal(split(100, 'a\n\nb', 'c', '\n', 'd'), ['a', '', 'bc', 'd'])
})

test('a long line is split at the limit, and the lines after it are whole', () => {
  assert.equal(split(4, 'abcdefghij\nk\n'), ['abcd', 'efgh', 'ij', 'k'])
  assert.equal(split(4, 'ab', 'cdef', 'gh\nij\n'), ['abcd', 'efgh', 'ij'])
  assert.equal(split(4, 'abcd\nefgh\n'), ['abcd', 'efgh'])
})

test('a split does not cut a character', () => {
  assert.equal(split(4, 'abc€€\n'), ['abc', '€', '€'])
})

test('64 KB without a newline arrives in parts and in order', () => {
  const text = 'x'.repeat(65_536)
  const parts = split(10_000, text, '\nnext\n')
  assert.is(parts.pop(), 'next')
  assert.is(parts.join(''), text)
  assert.ok(parts.every((part) => part.length <= 10_000))
})

test('NUL, carriage returns and invalid UTF-8 do no harm', () => {
  assert.equal(split(100, 'a\0b\r\n', Buffer.from([0x68, 0xff, 0xfe, 0x69, 0x0a]), 'ok\n'), [
    'ab',
    'h\ufffd\ufffdi',
    'ok',
  ])
})

test.run()
