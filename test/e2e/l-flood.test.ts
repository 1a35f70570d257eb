import { readFile } from 'node:fs/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startPlatform } from './platform.ts'
import { printer } from './printer.ts'
import { sampleFiles, web } from './source.ts'
import { openTail, type Tail } from './tail.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
const tails: Tail[] = []
const tailOf = async (app: string, dyno?: string): Promise<Tail> => {
  const tail = await openTail(platform, app, dyno ? { dyno } : {})
  tails.push(tail)
  return tail
}
test.after(async () => {
  for (const tail of tails) await tail.close()
  await platform.stop()
})

const deploy = async (app: string, procfile: Record<string, string>): Promise<void> => {
  await platform.createApp(app)
  const source = await platform.createSource({ ...sampleFiles(procfile), 'printer.pl': printer })
  const { code, output } = await platform.push(source, app)
  if (code !== 0) throw new Error(output)
}

await platform.prepare(async () => {
  await deploy('calm', {
    web,
    ticker: 'LINES=20 perl printer.pl',
    brisk: 'LINES=5000 LENGTH=200 SECONDS=6 perl printer.pl',
  })
  // The web process floods while it serves, until it is asked for /ill.
  await deploy('flood', { web: `LINES=0 LENGTH=500 UNTIL=/tmp/ill perl printer.pl & ${web}` })
})

const numbers = (lines: string[]): number[] =>
  lines
    .map((line) => /: tick (\d+)/.exec(line)?.[1])
    .filter((n) => n !== undefined)
    .map(Number)
const grows = (all: number[], by: (step: number) => boolean): boolean =>
  all.every((n, place) => place === 0 || by(n - (all[place - 1] ?? 0)))
const residentMB = async (): Promise<number> =>
  Number(/^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${platform.daemon.pid}/status`, 'utf8'))?.[1]) / 1024

/** Those that the engine was too slow to send cannot be counted. */
const l12 =
  /Error L12: (\d+|an unknown number of) messages( and others uncounted)? dropped since \S+\+00:00\. web\.1 prints faster than its log is taken\.$/

test('a dyno that prints as fast as it can is told what was dropped, serves on, and holds up nobody', async () => {
  await platform.api('PATCH', '/apps/calm/formation/ticker', { quantity: 1 })
  const calm = await tailOf('calm', 'ticker')
  const flood = await tailOf('flood')
  const told = () => flood.lines.filter((line) => /^app\[log-shuttle\]: Error L12: /.test(line))
  await waitFor('the flood to be told', () => told().length > 2)
  const before = numbers(calm.lines).length
  for (let n = 0; n < 20; n++) {
    await platform.api('GET', '/apps/flood/dynos')
    assert.is((await platform.request('flood')).status, 200)
  }
  await waitFor('the calm app to print on', () => numbers(calm.lines).length > before + 60)
  assert.ok((await residentMB()) < 400, `${await residentMB()} MB`)
  assert.ok(
    grows(numbers(calm.lines), (step) => step === 1),
    `missing of the calm app: ${numbers(calm.lines)}`,
  )

  // The flood ends, its dyno does not: what comes then arrives, and what came before was in order.
  const over = () => flood.lines.some((line) => / printed \d+/.test(line))
  assert.not(over(), 'it has flooded all the while')
  await platform.request('flood', '/ill')
  await waitFor('the end of the flood', over, { within: 100_000 })
  await platform.request('flood', '/afterwards')
  await waitFor('a line after the flood', () => flood.lines.some((line) => line.includes('path="/afterwards"')))
  for (const line of told()) assert.match(line, l12)
  assert.ok(
    grows(numbers(flood.lines), (step) => step > 0),
    'the flood is out of order',
  )
  const [dyno] = await platform.dynos('flood')
  assert.is(dyno?.state, 'up')
})

test('nothing is lost of 5,000 lines a second', async () => {
  const tail = await tailOf('calm', 'brisk')
  await platform.api('PATCH', '/apps/calm/formation/brisk', { quantity: 1 })
  const end = () => tail.lines.find((line) => / printed \d+/.test(line))
  const printed = Number(/printed (\d+)/.exec(await waitFor('the end of the lines', end, { within: 60_000 }))?.[1])
  const all = numbers(tail.lines)
  assert.is(all.length, printed)
  assert.ok(all.every((n, place) => n === place))
})

test.run()
