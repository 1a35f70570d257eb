import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { pauseAfter } from '../../daemon/logs/drain/delivery.ts'
import { httpFrame, priority, syslogFrame } from '../../daemon/logs/drain/syslog.ts'
import type { Line } from '../../daemon/logs/line.ts'
import { lossLine } from '../../daemon/logs/loss.ts'

const token = 'd.9173ea1f-6f14-4976-9cf0-7cd0dafdcdbc'
const at = Date.UTC(2026, 10, 23, 6, 57, 42, 358)
const line = (fields: Partial<Line> = {}): Line => ({ at, source: 'app', dyno: 'web.1', text: 'hello', ...fields })

test('a syslog message has every part that RFC 5424 wants, and the token as its host', () => {
  const message = `<190>1 2026-11-23T06:57:42.358000+00:00 ${token} app web.1 - - hello\n`
  assert.is(syslogFrame(line(), token).toString(), `${message.length} ${message}`)
})

test('a message over HTTP is as Heroku writes it: `host`, and no structured data', () => {
  const message = '<190>1 2026-11-23T06:57:42.358000+00:00 host app web.1 - hello\n'
  assert.is(httpFrame(line()).toString(), `${message.length} ${message}`)
})

test('the length counts bytes, not characters', () => {
  for (const text of ['grüße', '日本語', '👩‍👩‍👧', '\ud800 alone', '', 'a'.repeat(10_000)]) {
    const bytes = syslogFrame(line({ text }), token)
    const space = bytes.indexOf(0x20)
    assert.is(Number(bytes.subarray(0, space).toString()), bytes.length - space - 1, text)
    assert.is(bytes.at(-1), 0x0a)
  }
  const bytes = (text: string) => syslogFrame(line({ text }), token).length
  assert.is(bytes('grüße'.padEnd(99)), bytes('gruse'.padEnd(101)))
})

test('a line stays one line, and a name one word', () => {
  const text = httpFrame(line({ text: 'a\r\nb\nc', dyno: 'odd name\n' })).toString()
  assert.match(text, / host app odd_name_ - a b c\n$/)
  assert.match(httpFrame(line({ dyno: '' })).toString(), / host app - - hello\n$/)
})

test('priorities are those of samples from Heroku', () => {
  assert.is(priority(line()), 190)
  assert.is(priority(line({ dyno: 'api' })), 133)
  assert.is(priority(line({ source: 'heroku', dyno: 'router' })), 158)
  assert.is(priority(line({ source: 'heroku', dyno: 'web.1' })), 45)
  assert.is(priority(lossLine('drain', { count: 1, since: 0 })), 172)
})

test('L10 is told in Heroku’s words', () => {
  const since = Date.UTC(2013, 3, 17, 19, 4, 46, 900)
  const words = 'Error L10 (output buffer overflow): 500 messages dropped since 2013-04-17T19:04:46+00:00.'
  assert.is(lossLine('drain', { count: 500, since }).text, words)
})

test('pauses double, have chance in them, and end at 30 s', () => {
  assert.equal(
    [1, 2, 3, 8, 9, 50, 5000].map((failures) => [pauseAfter(failures, 0), pauseAfter(failures, 1)]),
    [
      [100, 200],
      [200, 400],
      [400, 800],
      [12_800, 25_600],
      [15_000, 30_000],
      [15_000, 30_000],
      [15_000, 30_000],
    ],
  )
})

test.run()
