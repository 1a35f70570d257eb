import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { formatAccount, formatAccountInJson, inJson } from '../../router/line.ts'
import { type Batch, Lines } from '../../router/lines.ts'
import { parseUp, type Up } from '../../router/protocol.ts'

const line = (text: string) => ({ app: 'äpp "1"', at: 1, text })
const add = (lines: Lines, { app, at, text }: ReturnType<typeof line>) => lines.add(app, at, inJson(text))

function read(batch: Batch | null): Extract<Up, { kind: 'log' }> {
  const message = parseUp(Buffer.from(batch?.text ?? []).toString())
  assert.is(message.kind, 'log')
  return message as Extract<Up, { kind: 'log' }>
}

test('lines come as they went in, in messages of a bounded number of lines', () => {
  const lines = new Lines(100, 2)
  for (const text of ['a "b" \\ c', 'é', 'x'.repeat(200_000)]) add(lines, line(text))
  assert.equal(read(lines.take()).lines, [line('a "b" \\ c'), line('é')])
  assert.equal(read(lines.take()).lines, [line('x'.repeat(200_000))])
  assert.is(lines.take(), null)
})

test('a full message is followed by the next, however long its lines are', () => {
  const lines = new Lines(1000, 1000)
  const sent = Array.from({ length: 300 }, (_, i) => line(`${i} ${'ü'.repeat(i * 7)}`))
  for (const one of sent) add(lines, one)
  const got: unknown[] = []
  for (let batch = lines.take(); batch !== null; batch = lines.take()) {
    assert.is(read(batch).lines.length, batch.lines)
    got.push(...read(batch).lines)
  }
  assert.equal(got, sent)
})

test('what finds no room is counted and told once', () => {
  const lines = new Lines(2, 10)
  for (const text of ['a', 'b', 'c', 'd']) add(lines, line(text))
  const batch = lines.take()
  assert.equal([batch?.lines, batch?.dropped, read(batch).dropped], [2, 2, 2])
  assert.is(lines.take(), null)
  add(lines, line('e'))
  assert.equal([read(lines.take()).lines, lines.take()], [[line('e')], null])
})

test('a line that is written into JSON at once says the same, whatever a client sends', () => {
  const odd = ['/', '/a"b', '/a\\b', '/\\"', '\t"é\x80ÿ\x9f', `${'\\'.repeat(1001)}"`]
  for (const code of [null, 'H12', 'H25', 'H26', 'H31'] as const)
    for (const text of odd) {
      const account = {
        ...{ code, cause: text, method: 'GET', path: text, host: 'a', requestId: 'ID', forwarded: text, dyno: text },
        ...{ connect: 1, service: 2, status: 200, bytes: 3, minor: 1, tls: 'unknown', agent: text },
      }
      const written = formatAccountInJson(account)
      assert.match(written, /^[\x20-\x7e]*$/)
      assert.is(JSON.parse(`"${written}"`), formatAccount(account))
    }
})

test.run()
