import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { interrupt } from './command.ts'
import { startPlatform } from './platform.ts'
import { printer } from './printer.ts'
import { sampleFiles, web } from './source.ts'
import { openTail } from './tail.ts'
import { waitFor } from './wait.ts'

/** Prints a line of 64 KB, bytes that are no UTF-8, NUL, a carriage return and an escape, and then goes on. */
const odd = String.raw`$| = 1;
print 'x' x 65536, "\n";
print "bad \xff\xfe\xc3\x28 bytes\n";
print "nul\0nul\n";
print "progress 1\rprogress 2\r\n";
print "\e[31mred\e[0m\n";
print "\xe2\x80\xa8separator\n";
print "and so on\n";
sleep 60 while 1;
`

const platform = await startPlatform()
test.after(() => platform.stop())

const app = 'talking'
await platform.prepare(async () => {
  await platform.createApp(app)
  const source = await platform.createSource({
    ...sampleFiles({ web, ticker: 'LINES=50 perl printer.pl', odd: 'perl odd.pl' }),
    'printer.pl': printer,
    'odd.pl': odd,
  })
  const { code, output } = await platform.push(source, app)
  if (code !== 0) throw new Error(output)
})

const scale = (type: string, quantity: number) => platform.api('PATCH', `/apps/${app}/formation/${type}`, { quantity })
const logs = async (...args: string[]) => (await platform.heroku(['logs', '--app', app, ...args])).stdout

test('A14: a line of 64 KB arrives in marked parts, and neither it nor bytes that are no text stop what follows', async () => {
  await scale('odd', 1)
  const shown = await waitFor('the line after the odd ones', async () => {
    const text = await logs('--num', '1500', '--dyno-name', 'odd')
    return /app\[odd\.1\]: and so on\n/.test(text) && text
  })
  const texts = [...shown.matchAll(/app\[odd\.1\]: ?([^\n]*)/g)].map(([, text]) => text ?? '')
  const long = texts.filter((text) => text.startsWith('x'))
  assert.is(long.join('').replaceAll(' [continued]', ''), 'x'.repeat(65_536))
  assert.ok(long.slice(0, -1).every((text) => text.endsWith('x [continued]') && text.length === 10_000))
  assert.equal(texts.slice(long.length), [
    'bad \ufffd\ufffd\ufffd( bytes',
    'nulnul',
    'progress 1 progress 2',
    '\x1b[31mred\x1b[0m',
    '\u2028separator',
    'and so on',
  ])
  await scale('odd', 0)
})

/** The numbers that were shown. */
const ticks = (text: string): number[] => [...text.matchAll(/app\[ticker\.1\]: tick (\d+)/g)].map(([, n]) => Number(n))

function assertWhole(numbers: number[], what: string): void {
  const wrong = numbers.findIndex((n, place) => place > 0 && n !== (numbers[place - 1] ?? 0) + 1)
  assert.is(wrong, -1, `${what}: ${numbers.slice(Math.max(0, wrong - 3), wrong + 3)}`)
}

test('heroku logs --tail goes on over a restart of the daemon, no line is missing or repeated', async () => {
  await scale('ticker', 1)
  const tail = platform.cli(['logs', '--tail', '--app', app, '--dyno-name', 'ticker'])
  await waitFor('the tail to show lines', () => ticks(tail.sofar()).length > 20)
  await platform.daemon.kill('SIGTERM')
  const before = ticks(tail.sofar()).length
  await platform.startDaemon()
  await waitFor('lines of the new daemon', () => ticks(tail.sofar()).length > before + 500, { within: 60_000 })
  interrupt(tail)
  const { output } = await tail
  assertWhole(ticks(output), 'the tail')
})

test('a tail that comes back by itself after the daemon was killed has every line once', async () => {
  const tail = await openTail(platform, app, { dyno: 'ticker' })
  const shown = () => ticks(tail.lines.join('\n'))
  for (let round = 1; round <= 5; round++) {
    const before = shown().length
    await waitFor('lines', () => shown().length > before + 10 * round, { every: 5 })
    await platform.daemon.kill('SIGKILL')
    await platform.startDaemon()
    await waitFor('the tail to be back', () => tail.connections() > round)
  }
  const before = shown().length
  await waitFor('lines of the last daemon', () => shown().length > before + 100)
  await tail.close()
  assertWhole(shown(), 'the tail')
  assert.is(tail.connections(), 6)
  assertWhole(ticks(await logs('--num', '1500', '--dyno-name', 'ticker')), 'the history')
})

test('a tail ends when its app is destroyed', async () => {
  const tail = platform.cli(['logs', '--tail', '--app', app])
  await waitFor('the tail to show lines', () => ticks(tail.sofar()).length > 20)
  await platform.api('DELETE', `/apps/${app}`)
  const { code, output } = await tail
  assert.is(code, 1)
  assert.match(output, /Log stream timed out\. Please try again\./)
})

test.run()
