import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { LogChunk } from '../../daemon/engine/engine.ts'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { createCollector } from '../../daemon/logs/collect.ts'
import { createLogs } from '../../daemon/logs/logs.ts'
import { createSplitter, textOf } from '../../daemon/logs/split.ts'

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
  assert.ok((engine.asked[0] ?? 3) <= 2)
})

test('a long line that a restart has cut in two is neither cut off nor repeated', async () => {
  const part = (text: string) => chunk(5.25, text.repeat(16_384))
  const all = [chunk(1, 'a\n'), part('b'), part('c'), chunk(5.25, 'd\n'), chunk(6, 'e\n')]
  const cut = await collect(engineOf([...all.slice(0, 3), 'broken'], all))
  await rm(join(data, 'logs'), { recursive: true })
  assert.equal(cut, await collect(engineOf(all)))
})

test('each stream goes on where it stopped, although their times are out of order', async () => {
  const all = [
    chunk(5, 'a\n'),
    chunk(9, 'b\n'),
    chunk(8, 'c\n', 'stderr'),
    chunk(8.5, 'd\n', 'stderr'),
    chunk(9, 'e\n'),
  ]
  for (let cut = 1; cut <= all.length; cut++) {
    assert.equal(await collect(engineOf([...all.slice(0, cut), 'broken'], all)), ['a', 'b', 'c', 'd', 'e'])
    await rm(join(data, 'logs'), { recursive: true })
  }
})

test('what the engine has lost is told, once it is seen that its log begins too late', async () => {
  await collect(engineOf([chunk(1, 'a\n')]))
  const [a, b, told] = await collect(engineOf([chunk(1000, 'b\n')]))
  assert.equal([a, b], ['a', 'b'])
  assert.is(
    told,
    'Error L12: an unknown number of messages dropped since 1970-01-01T00:00:01+00:00. web.1 prints faster than its log is taken.',
  )
  const gap = { ...chunk(2000, 'c\n'), gap: true } as const
  assert.match((await collect(engineOf([chunk(1000, 'b\n'), gap]))).at(-1) ?? '', /^Error L12: an unknown number /)
})

test('what a dyno prints beyond its rate is dropped, counted, and told once', async () => {
  const { lines } = limits.logRate
  const count = lines * 5
  const script = Array.from({ length: count }, (_, n) => chunk(1000 + n / (count / 1000), `${n}\n`))
  const after = chunk(4000, 'later\n')
  const logs = createLogs({ data }, silent)
  const collector = createCollector(engineOf([...script, after]), logs, silent)
  collector.follow(dyno)
  await collector.settled('d1')
  await collector.close()
  const kept = logs.recent('a', {}, 1000).map(({ text }) => text)
  assert.is(kept.at(-2), 'later')
  assert.is(kept.at(-3), String(lines * 2 - 1))
  assert.is(
    kept.at(-1)?.split('. ')[0],
    `Error L12: ${count - lines * 2} messages dropped since 1970-01-01T00:00:01+00:00`,
  )
  assert.equal(collector.tail('d1').slice(-2), [String(lines * 2 - 1), 'later'])
  await logs.close()
})

test('a dyno that stays below its rate loses nothing, in a backlog neither', async () => {
  const { lines } = limits.logRate
  const script = Array.from({ length: lines * 4 }, (_, n) => chunk(1000 + (n / lines) * 1000, `${n}\n`))
  const logs = createLogs({ data }, silent)
  const collector = createCollector(engineOf(script), logs, silent)
  const seen = (async () => {
    let next = 0
    for await (const { line } of logs.follow('a', {}, new AbortController().signal, 0)) {
      assert.is(line.text, String(next))
      if (++next === script.length) return
    }
  })()
  collector.follow(dyno)
  await seen
  await collector.close()
  await logs.close()
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
  const settled: string[] = []
  const wait = async (id: string) => {
    await collector.settled(id)
    settled.push(id)
  }
  const started = performance.now()
  collector.follow(dyno)
  await Promise.all([wait('d1'), wait('nobody')])
  const waited = performance.now() - started
  assert.equal(settled, ['nobody', 'd1'])
  assert.ok(waited > 1900 && waited < 30_000, `waited ${waited} ms`)
  await collector.close()
  await logs.close()
})

const split = (max: number, ...chunks: (string | Buffer)[]): string[] => {
  const splitter = createSplitter(max)
  return [...chunks.flatMap((part) => splitter.push(Buffer.from(part as string))), ...splitter.end()].map(textOf)
}

test('lines end at a newline, wherever the chunks end', () => {
  assert.equal(split(100, 'a\n\nb', 'c', '\n', 'd'), ['a', '', 'bc', 'd'])
})

test('a long line is split at the limit and marked, and the lines after it are whole', () => {
  const more = ' [continued]'
  const text = 'abcdefghijklmnopqrstuvwxyz'
  assert.equal(split(20, `${text}\nk\n`), [`abcdefgh${more}`, text.slice(8), 'k'])
  assert.equal(split(20, text.slice(0, 5), `${text.slice(5)}\nk\n`), [`abcdefgh${more}`, text.slice(8), 'k'])
  assert.equal(split(20, ...text, '\n', 'k'), [`abcdefgh${more}`, text.slice(8), 'k'])
  assert.equal(split(26, `${text}\n${text}`), [text, text])
})

test('a split does not cut a character', () => {
  assert.equal(split(16, 'abc€€€€€\n'), ['abc [continued]', '€€€€€'])
})

test('64 KB without a newline arrives in marked parts and in order', () => {
  const text = 'x'.repeat(65_536)
  const parts = split(10_000, text, '\nnext\n')
  assert.is(parts.pop(), 'next')
  assert.ok(parts.every((part) => part.length <= 10_000))
  assert.ok(parts.slice(0, -1).every((part) => part.endsWith(' [continued]')))
  assert.is(parts.join('').replaceAll(' [continued]', ''), text)
})

test('NUL, carriage returns and invalid UTF-8 do no harm', () => {
  assert.equal(split(100, 'a\0b\r\n', Buffer.from([0x68, 0xff, 0xfe, 0x69, 0x0a]), 'ok\n'), [
    'ab',
    'h\ufffd\ufffdi',
    'ok',
  ])
})

test.run()
