import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Body, createBody } from '../../router/body.ts'
import { BadResponse, headEnd, parseRequest, parseResponse, Refusal } from '../../router/head.ts'
import { limits } from '../../router/limits.ts'
import { parseProxyHeader } from '../../router/proxy-protocol.ts'
import { Dice } from '../vectors/dice.ts'
import { version1, version2 } from '../vectors/proxy.ts'
import { requestStream, responseStream } from '../vectors/stream.ts'

/** The parsers alone, fed with random input: `SLUICE_FUZZ` times, from `SLUICE_FUZZ_SEED`. A failure names its seed. */
const count = Number(process.env.SLUICE_FUZZ ?? 3000)
const first = Number(process.env.SLUICE_FUZZ_SEED ?? 1)

function each(probe: (dice: Dice) => void): void {
  for (let seed = first; seed < first + count; seed++) {
    try {
      probe(new Dice(seed))
    } catch (error) {
      throw new Error(`seed ${seed}: ${error}`, { cause: error })
    }
  }
}

/** What `parse` says, or the declared error that it throws. */
function outcome<T>(parse: () => T, declared: new (...args: never[]) => Error): T | string {
  try {
    return parse()
  } catch (error) {
    if (error instanceof declared) return error.message
    throw error
  }
}

test('heads are understood or refused, and no other way', () => {
  let understood = 0
  each((dice) => {
    for (const [text, parse, declared] of [
      [requestStream(dice), parseRequest, Refusal],
      [responseStream(dice, 'GET'), parseResponse, BadResponse],
    ] as const) {
      const bytes = Buffer.from(text, 'latin1')
      const end = headEnd(bytes, 0)
      if (end < 0) continue
      const head = outcome(() => parse(text.slice(0, end), limits), declared)
      if (typeof head === 'string') continue
      understood++
      for (let i = 0; i < head.fields.length; i += 3) {
        assert.match(head.fields[i] ?? '', /^[!#$%&'*+\-.^_`|~0-9a-z]+$/)
        assert.not.match(head.fields[i + 2] ?? '', /[\r\n\0]|^[ \t]|[ \t]$/)
      }
    }
  })
  assert.ok(understood > count / 2, `only ${understood} were understood`)
})

test('the end of a head is where it is, however it comes', () => {
  each((dice) => {
    const text = requestStream(dice)
    const bytes = Buffer.from(text, 'latin1')
    let scanned = 0
    for (const piece of dice.cut(text, 8)) {
      const have = scanned + piece.length
      const end = headEnd(bytes.subarray(0, have), scanned)
      scanned = have
      if (end === -1) continue
      if (end >= 0) assert.is(end, bytes.indexOf('\r\n\r\n', 0, 'latin1') + 4)
      else assert.match(text.slice(0, have), /(^|[^\r])\n/)
      return
    }
    assert.is(bytes.indexOf('\r\n\r\n', 0, 'latin1'), -1)
  })
})

interface Outcome {
  state: Body['state']
  out: string
  used: number
}

function feed(pieces: string[], decode: boolean): Outcome {
  const body = createBody('chunked', limits, decode)
  let held = ''
  let out = ''
  let used = 0
  for (const piece of pieces) {
    held += piece
    const took = body.feed(Buffer.from(held, 'latin1'), (part) => {
      out += part.toString('latin1')
    })
    held = held.slice(took)
    used += took
    if (body.state !== 'more') break
  }
  return { state: body.state, out, used }
}

test('a chunked body is the same however it is cut, and looks complete only when it is', () => {
  let done = 0
  each((dice) => {
    const stream = requestStream(dice)
    const text = stream.slice(stream.indexOf('\r\n\r\n') + 4)
    if (text === '') return
    const whole = feed([text], false)
    const cut = feed(dice.cut(text, 10), false)
    assert.is(cut.state, whole.state)
    if (whole.state === 'done') {
      done++
      assert.is(cut.out, whole.out)
      assert.is(cut.used, whole.used)
      const again = feed([whole.out], false)
      assert.equal(again, { state: 'done', out: whole.out, used: whole.out.length })
      assert.is(feed([whole.out], true).out, feed(dice.cut(text, 10), true).out)
    } else {
      assert.is(feed([whole.out], false).state, 'more', 'what was passed on has no end')
      assert.is(feed([cut.out], false).state, 'more', 'what was passed on has no end')
    }
  })
  assert.ok(done > count / 20, `only ${done} were complete`)
})

test('a PROXY header is read, refused, or awaited; more behind it changes nothing', () => {
  const seen = { more: 0, bad: 0, done: 0 }
  each((dice) => {
    const addresses = dice.some(60, () => String.fromCharCode(dice.below(256))).join('')
    const text = dice.of([
      version1(dice.of(['1.2.3.4', '::1', '2001:db8::', '1.2.3', 'x']), dice.below(70_000)),
      version2(dice.of([0x20, 0x21, 0x21, 0x21, 0x22]), dice.of([0x11, 0x21, 0, 0x12, 0x31]), addresses),
    ])
    const at = dice.below(text.length)
    const odd = dice.chance(50)
      ? text.slice(0, at) + dice.of(['\0', ' ', '\r', '\n', '9', '\xff']) + text.slice(at + 1)
      : text
    const bytes = Buffer.from(`${odd}GET / HTTP/1.1\r\n`, 'latin1')
    const whole = parseProxyHeader(bytes, limits.proxyHeader)
    seen[whole.state]++
    for (let cut = 0; cut < bytes.length; cut++) {
      const part = parseProxyHeader(bytes.subarray(0, cut), limits.proxyHeader)
      if (part.state !== 'more') assert.equal(part, whole)
      if (whole.state === 'done') assert.is(part.state, cut < whole.used ? 'more' : 'done')
    }
  })
  assert.ok(seen.done > count / 10 && seen.bad > count / 10, JSON.stringify(seen))
})

test('the longest input of each kind is read at once, not for hours', () => {
  const tabs = '\t'.repeat(8000)
  const fields = (line: string, times: number) => `GET / HTTP/1.1\r\nHost: a\r\n${`${line}\r\n`.repeat(times)}\r\n`
  for (const line of [
    `Connection: a${tabs}b`,
    `X:${tabs}`,
    `Upgrade: ${'a '.repeat(4000)}`,
    `Transfer-Encoding: ${tabs}`,
  ])
    for (let i = 0; i < 400; i++) outcome(() => parseRequest(fields(line, 8), limits), Refusal)
  for (const size of [
    `1;${'a'.repeat(8000)}`,
    `1;a="${'\\"'.repeat(4000)}`,
    ';a'.repeat(4000),
    `1${';a=b'.repeat(60)}\0`,
  ])
    for (let i = 0; i < 2000; i++) assert.is(feed([`${size}\r\n`], false).state, 'bad')
})

test.run()
