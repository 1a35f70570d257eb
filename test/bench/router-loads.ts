import { execFile } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Candidate, HOST, onLoadCpu } from './router-proxies.ts'
import { usageOf } from './router-usage.ts'

const run = promisify(execFile)

/** What one run showed. Milliseconds and MB. */
export interface Measured {
  /** Requests or MB per second of the proxy's processor time; undefined where only the latency counts. */
  perCpu: number
  perSecond: number
  p50: number
  p99: number
  memory: number
}

/** One row: the same load on each proxy. */
export interface Load {
  what: string
  unit: 'req' | 'MB'
  needs: string
  measure(proxy: Candidate, seconds: number): Promise<Seen>
}

interface Seen {
  amount: number
  seconds: number
  p50: number
  p99: number
}

/** A head as browsers send it, 650 bytes. */
const BROWSER = [
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'Accept-Language: en-GB,en;q=0.9,de;q=0.7',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Cookie: session=4f1c2a9d7be34c0f8a6b5d2e1f0c9b8a; theme=dark; consent=yes',
  'Referer: https://a.localhost/somewhere/else',
  'Upgrade-Insecure-Requests: 1',
  'Sec-Fetch-Dest: document',
  'Sec-Fetch-Mode: navigate',
  'Sec-Fetch-Site: same-origin',
  'Cache-Control: max-age=0',
]

export const loads: Load[] = [
  wrk('small answers, keep-alive', { connections: 64 }),
  wrk('a browser’s head of 650 bytes', { connections: 64, headers: BROWSER }),
  wrk('a connection for each request', { connections: 32, headers: ['Connection: close'] }),
  wrk('TLS, keep-alive', { connections: 64, tls: true }),
  wrk('1 MB bodies', { connections: 16, path: '/1m' }),
  h2load('HTTP/2 over TLS', ['--npn-list=h2', '-c', '8', '-m', '8']),
  h2load('latency at 6,000 req/s', ['--h1', '-c', '60', '-m', '1', '--rps=100'], false),
]

/** Undefined when the proxy cannot do it. */
export async function measure(load: Load, proxy: Candidate, seconds: number): Promise<Measured | undefined> {
  const before = await usageOf(proxy.pid)
  const seen = await load.measure(proxy, seconds)
  const after = await usageOf(proxy.pid)
  if (seen.amount === 0) return undefined
  const { p50, p99 } = seen
  const perCpu = seen.amount / (after.cpu - before.cpu)
  return { perCpu, perSecond: seen.amount / seen.seconds, p50, p99, memory: after.memory }
}

function wrk(what: string, given: { connections: number; headers?: string[]; tls?: boolean; path?: string }): Load {
  const { connections, headers = [], tls = false, path = '/' } = given
  const unit = path === '/' ? 'req' : 'MB'
  const args = ['-t1', `-c${connections}`, '--latency', ...[`Host: ${HOST}`, ...headers].flatMap((one) => ['-H', one])]
  return {
    what,
    unit,
    needs: 'wrk',
    async measure({ port, tlsPort }, seconds) {
      const url = `${tls ? `https://127.0.0.1:${tlsPort}` : `http://127.0.0.1:${port}`}${path}`
      const [command = '', ...rest] = onLoadCpu(['wrk', ...args, `-d${seconds}`, url])
      return readWrk((await run(command, rest)).stdout, unit)
    },
  }
}

function readWrk(text: string, unit: Load['unit']): Seen {
  const failed = /Non-2xx or 3xx responses: (\d+)|Socket errors: (?!connect 0, read 0, write 0, timeout 0)(.*)/.exec(
    text,
  )
  if (failed !== null) throw new Error(`wrk had failures: ${failed[0]}`)
  const [, requests = '0', seconds = '0', size = '0', prefix = 'M'] =
    /(\d+) requests in ([\d.]+)s, ([\d.]+)([KMG])B read/.exec(text) ?? []
  const megabytes = Number(size) * { K: 1 / 1024, M: 1, G: 1024 }[prefix as 'K' | 'M' | 'G']
  const percentile = (wanted: number): number => {
    const [, value = '', scale = 'ms'] = new RegExp(`${wanted}%\\s+([\\d.]+)(us|ms|s)`).exec(text) ?? []
    return Number(value) * { us: 0.001, ms: 1, s: 1000 }[scale as 'us' | 'ms' | 's']
  }
  return {
    amount: unit === 'MB' ? megabytes : Number(requests),
    seconds: Number(seconds),
    p50: percentile(50),
    p99: percentile(99),
  }
}

function h2load(what: string, options: string[], tls = true): Load {
  return {
    what,
    unit: 'req',
    needs: 'h2load',
    async measure({ port, tlsPort }, seconds) {
      const log = join(tmpdir(), `sluice-bench-${process.pid}.log`)
      await rm(log, { force: true })
      const to = tls ? tlsPort : port
      const url = `${tls ? 'https' : 'http'}://${HOST}:${to}/`
      const timed = [`--duration=${seconds}`, '--warm-up-time=1', `--log-file=${log}`]
      const all = ['h2load', ...options, ...timed, `--connect-to=127.0.0.1:${to}`, url]
      const [command = '', ...rest] = onLoadCpu(all)
      await run(command, rest)
      const seen = readLog(await readFile(log, 'utf8').catch(() => ''))
      await rm(log, { force: true })
      return seen
    },
  }
}

/** h2load's lines: start in µs since the epoch, status, time in µs. */
function readLog(text: string): Seen {
  const lines = text.split('\n').map((line) => line.split('\t').map(Number))
  const answered = lines.filter(([, status]) => status === 200)
  if (answered.length === 0) return { amount: 0, seconds: 1, p50: 0, p99: 0 }
  const starts = answered.map(([start = 0]) => start).sort((a, b) => a - b)
  const times = answered.map(([, , time = 0]) => time / 1000).sort((a, b) => a - b)
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
  return {
    amount: answered.length,
    seconds: ((starts.at(-1) ?? 0) - (starts[0] ?? 0)) / 1e6,
    p50: at(0.5),
    p99: at(0.99),
  }
}
