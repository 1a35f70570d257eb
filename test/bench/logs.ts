import { once, setMaxListeners } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Platform } from '../e2e/platform.ts'
import { printer } from '../e2e/printer.ts'
import { sampleFiles, web } from '../e2e/source.ts'
import { openTail } from '../e2e/tail.ts'
import { waitFor } from '../e2e/wait.ts'
import { enginePid, usedBy } from './process.ts'
import type { Row } from './table.ts'

/**
 * What the log pipeline carries and costs: a dyno prints lines of 100 bytes at a steady rate, and a tail or a drain reads them all.
 */
const app = 'bench-logs'
const RATES = [1000, 5000, 10_000, 20_000]
const SECONDS = 5
const TAILS = 200

export async function measureLogs(platform: Platform): Promise<Row[]> {
  await platform.createApp(app)
  const types = Object.fromEntries(
    RATES.map((rate) => [`at${rate}`, `LINES=${rate} LENGTH=100 SECONDS=${SECONDS} perl printer.pl`]),
  )
  const source = await platform.createSource({
    ...sampleFiles({ web, ...types, flood: `LINES=0 LENGTH=100 SECONDS=${SECONDS} perl printer.pl` }),
    'printer.pl': printer,
  })
  const { code, output } = await platform.push(source, app)
  if (code !== 0) throw new Error(output)
  const rows: Row[] = []
  for (const rate of RATES) rows.push(...(await carried(platform, `at${rate}`, `${rate} lines/s`)))
  rows.push(...(await carried(platform, 'flood', 'a flood')))
  for (const rate of RATES) rows.push(...(await drained(platform, `at${rate}`, `${rate} lines/s`)))
  rows.push(...(await manyTails(platform)))
  await platform.api('DELETE', `/apps/${app}`)
  return rows
}

/** One dyno, one tail: how many lines a second came, how many did not, and what that cost. */
async function carried(platform: Platform, type: string, what: string): Promise<Row[]> {
  const tail = await openTail(platform, app, { dyno: type })
  const { lines, missing, seconds, daemon, engine } = await run(platform, type, tail)
  await tail.close()
  return [
    { what: `logs: container to tail, ${what}`, runs: [lines / seconds], unit: 'lines/s' },
    { what: `logs: lines that did not come, ${what}`, runs: [missing], unit: 'lines' },
    {
      what: `logs: CPU of the daemon per 100,000 printed, ${what}`,
      runs: [daemon],
      unit: 's',
    },
    {
      what: `logs: CPU of the engine per 100,000 printed, ${what}`,
      runs: [engine],
      unit: 's',
    },
  ]
}

/** The same with a syslog drain in place of the tail; its receiver is this process. */
async function drained(platform: Platform, type: string, what: string): Promise<Row[]> {
  const receiver = await openReceiver()
  const { id } = await platform.api<{ id: string }>('POST', `/apps/${app}/log-drains`, {
    url: `syslog://127.0.0.1:${receiver.port}`,
  })
  const { lines, missing, seconds, daemon } = await run(platform, type, receiver)
  await platform.api('DELETE', `/apps/${app}/log-drains/${id}`)
  receiver.close()
  return [
    { what: `logs: container to drain, ${what}`, runs: [lines / seconds], unit: 'lines/s' },
    { what: `logs: lines that did not come, ${what}`, runs: [missing], unit: 'lines' },
    { what: `logs: CPU of the daemon per 100,000 printed, ${what}`, runs: [daemon], unit: 's' },
  ]
}

/** Messages of the dynos that print, each ended by a newline as Heroku's are. */
async function openReceiver(): Promise<Lines & { port: number; close(): void }> {
  const lines: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let rest = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      const texts = (rest + chunk).split('\n')
      rest = texts.pop() ?? ''
      for (const text of texts) if (/ app at\d+\.1 /.test(text)) lines.push(text.replace(/^.* - - /, ': '))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { lines, port, close }
}

interface Lines {
  lines: string[]
}

/** From a dyno's first line to its last: CPU is in seconds per 100,000 lines printed. */
async function run(platform: Platform, type: string, tail: Lines) {
  const scale = (quantity: number) => platform.api('PATCH', `/apps/${app}/formation/${type}`, { quantity })
  await scale(1)
  await waitFor('the first line', () => tail.lines.some(isTick), { every: 5 })
  const began = performance.now()
  const before = await spent(platform)
  const last = () => /: printed (\d+)$/.exec(tail.lines.at(-1) ?? '')
  const printed = Number((await waitFor('the last line', last, { within: 120_000, every: 5 }))[1])
  // The printer waits two seconds before its last line.
  const seconds = (performance.now() - began) / 1000 - 2
  const after = await spent(platform)
  await scale(0)
  await waitFor('the dyno to be gone', async () => (await platform.containers(app)).length === 1)
  const lines = tail.lines.filter(isTick).length
  const per = (used: number) => (used / printed) * 100_000
  return {
    lines,
    missing: printed - lines,
    seconds,
    daemon: per(after.daemon - before.daemon),
    engine: per(after.engine - before.engine),
  }
}

const isTick = (line: string): boolean => line.includes(': tick ')

async function manyTails(platform: Platform): Promise<Row[]> {
  const idle = await memory(platform)
  const closing = new AbortController()
  setMaxListeners(TAILS, closing.signal)
  await Promise.all(Array.from({ length: TAILS }, () => openSilent(platform, closing.signal)))
  const open = await memory(platform)
  const reader = await openTail(platform, app, { dyno: 'at1000' })
  const { lines, seconds, daemon } = await run(platform, 'at1000', reader)
  const busy = await memory(platform)
  closing.abort()
  await reader.close()
  return [
    { what: `logs: container to one of ${TAILS} tails, 1000 lines/s`, runs: [lines / seconds], unit: 'lines/s' },
    { what: `logs: CPU of the daemon per 100,000 printed, ${TAILS} tails`, runs: [daemon], unit: 's' },
    { what: 'memory of the daemon, before the tails', runs: [idle], unit: 'MB' },
    { what: `memory of the daemon, ${TAILS} tails open`, runs: [open], unit: 'MB' },
    { what: `memory of the daemon, ${TAILS} tails, after 1000 lines/s`, runs: [busy], unit: 'MB' },
  ]
}

/** A tail whose lines are thrown away, so that this process stays small. */
async function openSilent({ api, ports }: Platform, signal: AbortSignal): Promise<void> {
  const { logplex_url } = await api<{ logplex_url: string }>('POST', `/apps/${app}/log-sessions`, {
    tail: true,
    lines: 100,
  })
  const headers = { accept: 'text/event-stream' }
  const asking = get({ port: ports.api, host: '127.0.0.1', path: new URL(logplex_url).pathname, headers, signal })
  const [answer] = (await once(asking, 'response')) as [IncomingMessage]
  for (const each of [asking, answer]) each.on('error', () => undefined)
  answer.resume()
}

const memory = async ({ daemon }: Platform): Promise<number> => (await usedBy(daemon.pid)).memory

/** CPU seconds of the daemon, and of the engine when it runs on this machine. */
async function spent({ daemon }: Platform): Promise<{ daemon: number; engine: number }> {
  const engine = await enginePid()
  return { daemon: (await usedBy(daemon.pid)).cpu, engine: engine ? (await usedBy(engine)).cpu : Number.NaN }
}
