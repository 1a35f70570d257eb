import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { WebSocket } from 'ws'
import { systemClock } from '../../daemon/clock.ts'
import { createLog } from '../../daemon/log.ts'
import { createRouters } from '../../daemon/route/control.ts'
import { type AppRoute, PROTOCOL, type Table } from '../../router/protocol.ts'
import { HOST, type Sluice } from './router-proxies.ts'
import { median } from './table.ts'

const HOSTS = 10_000
const CHANGES = 10

type Unversioned = Omit<Table, 'version'>

export interface Step {
  what: string
  /** ms until requests follow it, and until the router says so, when it is on disk too. */
  made: number
  kept: number
  /** The longest that a request has waited meanwhile, ms. */
  worst: number
}

/** A table of many hosts; `usual`: the longest that a request has waited before, and `daemon`: what a change costs there, ms. */
export async function measureTables(
  sluice: Sluice,
  table: Unversioned,
): Promise<{ hosts: number; usual: number; daemon: number; steps: Step[] }> {
  const watch = await watchRequests(sluice.port)
  await setTimeout(500)
  const usual = watch.worst()
  const whole = withHosts(table, HOSTS)
  const step = async (what: string, host: string, work: () => Promise<void>): Promise<Step> => {
    watch.worst()
    const made = served(sluice.port, host)
    const kept = timed(work)
    return { what, made: await made, kept: await kept, worst: watch.worst() }
  }
  const first = await step('the first table', hostOf(HOSTS - 1), () => sluice.apply(whole))
  const changes: Step[] = []
  for (let turn = 0; turn < CHANGES; turn++) {
    await setTimeout(100)
    const apps = [appLike(table, HOSTS + turn)]
    const change = () => sluice.change({ apps, gone: [], challenges: [] })
    changes.push(await step('one more app', hostOf(HOSTS + turn), change))
  }
  const again = withHosts(table, HOSTS + CHANGES + 1)
  const last = await step('the whole table again, and one', hostOf(HOSTS + CHANGES), () => sluice.apply(again))
  await watch.stop()
  await sluice.apply(table)
  const change: Step = {
    what: 'one more app, median',
    made: median(changes.map(({ made }) => made)),
    kept: median(changes.map(({ kept }) => kept)),
    worst: Math.max(...changes.map(({ worst }) => worst)),
  }
  return { hosts: HOSTS, usual, daemon: await daemonTime(whole.apps), steps: [first, change, last] }
}

const hostOf = (n: number): string => `app-${n}.localhost`

function appLike({ apps: [app] }: Unversioned, n: number): AppRoute {
  if (app === undefined) throw new Error('there is no app')
  const backends = app.backends.map((backend) => ({ ...backend, id: `dyno-${n}` }))
  return { ...app, id: `app-${n}`, name: `app-${n}`, hosts: [hostOf(n)], backends }
}

const withHosts = (table: Unversioned, count: number): Unversioned => ({
  ...table,
  apps: [...table.apps, ...Array.from({ length: count }, (_, n) => appLike(table, n))],
})

/** Median of ms from the call to what a router is sent. The rows are in memory: what reading them costs is the database's. */
async function daemonTime(apps: AppRoute[]): Promise<number> {
  const rows = new Map(apps.map((app) => [app.id, app]))
  const routers = createRouters(
    { clock: systemClock, log: createLog(() => {}) },
    {
      routes: async (ids) => (ids ?? [...rows.keys()]).flatMap((id) => rows.get(id) ?? []),
      ...{ pairs: async () => new Map(), challenges: () => [], changed() {}, logLine() {} },
    },
  )
  await routers.publish()
  const router = Object.assign(new EventEmitter(), { OPEN: 1, readyState: 1, send() {}, ping() {}, close() {} })
  routers.accept(router as unknown as WebSocket)
  router.emit('message', JSON.stringify({ kind: 'hello', protocol: PROTOCOL, applied: 0 }))
  const runs: number[] = []
  for (const app of apps.slice(0, CHANGES)) {
    rows.set(app.id, { ...app, maintenance: true })
    runs.push(await timed(() => routers.publish(app.id)))
  }
  routers.close()
  return median(runs)
}

async function timed(work: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

async function answer(socket: Socket, host: string): Promise<string> {
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  const [data] = await once(socket, 'data')
  return String(data)
}

/** ms until this host has an app. */
async function served(port: number, host: string): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  const began = performance.now()
  while ((await answer(socket, host)).startsWith('HTTP/1.1 404')) await setTimeout(1)
  socket.destroy()
  return performance.now() - began
}

/** One request after the other on one connection. `worst`: the longest since the last call, ms. */
async function watchRequests(port: number): Promise<{ worst(): number; stop(): Promise<void> }> {
  const socket = connect(port, '127.0.0.1')
  let longest = 0
  let done = false
  const asking = (async () => {
    while (!done) {
      const began = performance.now()
      await answer(socket, HOST)
      longest = Math.max(longest, performance.now() - began)
    }
    socket.destroy()
  })()
  return {
    worst() {
      const seen = longest
      longest = 0
      return seen
    },
    async stop() {
      done = true
      await asking
    },
  }
}
