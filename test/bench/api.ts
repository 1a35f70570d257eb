import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { Agent, get as httpGet } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type HostProcess, startHostProcess } from '../api/host-process.ts'
import { APPS, appName, fill, RELEASES } from './fill.ts'
import { startPeer } from './peer.ts'

/** Requests a second of the open loop, each sent at its time whether or not the one before was answered, and for how long. */
const RATE = 200
const SECONDS = 5
/** Connections of the closed loop, and for how long. */
const CLOSED = 16
const CLOSED_SECONDS = 2
/** Changes a second beside the reads, for the line that says so. */
const WRITES = 20

interface Load {
  what: string
  url: string
  path(): string
  headers?: Record<string, string>
}

interface Measured {
  p50: number
  p99: number
  worst: number
  most: number
}

/** Prints how fast the API answers over a database of 1,000 apps with 50 releases each, beside what Node.js alone takes for the like. */
export async function measureApi(print: (line: string) => void): Promise<void> {
  const data = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  const first = await startHostProcess(data)
  first.child.kill()
  await fill(data)
  const host = await startHostProcess(data)
  const peer = await startPeer(data)
  try {
    print(
      `API over ${APPS} apps with ${RELEASES} releases each: ${RATE} requests/s, then ${CLOSED} connections in a loop`,
    )
    print(row(['', 'p50', 'p99', 'worst', 'most']))
    const before = await memory(host)
    for (const load of [...peers(peer.url), ...reads(host)]) print(show(load.what, await measure(load)))
    print(show(`app, beside ${WRITES} config:set/s`, await besideWrites(host)))
    print(`memory of the API's process: ${before.toFixed(0)} MB before, ${(await memory(host)).toFixed(0)} MB after`)
  } finally {
    peer.stop()
    host.child.kill()
    await rm(data, { recursive: true, force: true })
  }
}

const anyApp = (): string => appName(Math.floor(Math.random() * APPS))

const peers = (url: string): Load[] => [
  { what: 'peer: node:http, constant', url, path: () => '/constant' },
  { what: 'peer: koa, one row', url, path: () => `/apps/${anyApp()}` },
]

function reads({ url, token }: HostProcess): Load[] {
  const load = (what: string, path: () => string, range?: string): Load => {
    const accept = 'application/vnd.heroku+json; version=3'
    return {
      ...{ what, url, path },
      headers: { accept, authorization: `Bearer ${token}`, ...(range ? { range } : {}) },
    }
  }
  const ofApp = (what: string, range?: string) => load(what, () => `/apps/${anyApp()}/${what}`, range)
  return [
    load('account', () => '/account'),
    load('apps, 200 of them', () => '/users/~/apps'),
    load('app', () => `/apps/${anyApp()}`),
    ofApp('config-vars'),
    ofApp('releases', 'version ..; max=15, order=desc'),
    load('release', () => `/apps/${anyApp()}/releases/${RELEASES}`),
    ofApp('formation'),
    ofApp('dynos'),
    ofApp('domains', 'id ..; max=1000;'),
    ofApp('builds', 'created_at ..; max=15, order=desc'),
    ofApp('collaborators'),
  ]
}

async function measure(load: Load): Promise<Measured> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  try {
    await closedLoop(load, agent, 0.5)
    const times = await openLoop(load, agent)
    return { ...percentiles(times), most: await closedLoop(load, agent, CLOSED_SECONDS) }
  } finally {
    agent.destroy()
  }
}

/** Times from when a request was due, so that a wait before it counts. Who falls behind by two seconds is not asked any further. */
async function openLoop(load: Load, agent: Agent): Promise<number[]> {
  const began = performance.now()
  const times: Promise<number>[] = []
  let waiting = 0
  for (let count = 0; count < RATE * SECONDS && waiting < 2 * RATE; count++) {
    const due = began + (count * 1000) / RATE
    if (due > performance.now()) await delay(due - performance.now())
    waiting++
    times.push(
      get(load, agent)
        .then(() => performance.now() - due)
        .finally(() => waiting--),
    )
  }
  return Promise.all(times)
}

/** Requests a second with each connection asking again as soon as it was answered. */
async function closedLoop(load: Load, agent: Agent, seconds: number): Promise<number> {
  const began = performance.now()
  let done = 0
  const ask = async (): Promise<void> => {
    for (; performance.now() - began < seconds * 1000; done++) await get(load, agent)
  }
  await Promise.all(Array.from({ length: CLOSED }, ask))
  return done / seconds
}

async function besideWrites(host: HostProcess): Promise<Measured> {
  const load = reads(host).find(({ what }) => what === 'app')
  if (!load) throw new Error('there is no such load')
  const writes: Promise<void>[] = []
  const writing = setInterval(() => writes.push(setConfig(host, `v${writes.length}`)), 1000 / WRITES)
  const measured = await measure(load)
  clearInterval(writing)
  await Promise.all(writes)
  return measured
}

async function setConfig({ url, token }: HostProcess, value: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ BENCH: value })
  const { status } = await fetch(`${url}/apps/${anyApp()}/config-vars`, { method: 'PATCH', headers, body })
  if (status !== 200) throw new Error(`config:set got ${status}`)
}

const get = ({ url, path, headers = {} }: Load, agent: Agent): Promise<void> =>
  new Promise((resolve, reject) => {
    const asked = path()
    httpGet(url + asked, { agent, headers }, (response) => {
      const { statusCode = 0 } = response
      response.resume().once('end', resolve).once('error', reject)
      if (statusCode > 206) reject(new Error(`${asked} got ${statusCode}`))
    }).once('error', reject)
  })

function percentiles(times: number[]): Omit<Measured, 'most'> {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), worst: at(1) }
}

const show = (what: string, { p50, p99, worst, most }: Measured): string =>
  row([what, `${p50.toFixed(1)} ms`, `${p99.toFixed(1)} ms`, `${worst.toFixed(0)} ms`, `${Math.round(most)}/s`])

const row = ([what = '', ...cells]: string[]): string =>
  what.padEnd(30) + cells.map((cell) => cell.padStart(18)).join('')

const memory = async ({ child }: HostProcess): Promise<number> =>
  Number(/^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024
