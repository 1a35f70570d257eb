import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createDockerEngine } from '../../daemon/engine/docker.ts'
import { createLog } from '../../daemon/log.ts'
import { call } from '../e2e/engine.ts'
import { type Platform, startPlatform } from '../e2e/platform.ts'
import { waitFor } from '../e2e/wait.ts'
import { enginePid, usedBy } from './process.ts'
import { usageOf } from './router-usage.ts'
import { median } from './table.ts'

/**
 * What many apps of one web dyno each cost the daemon, the router and the engine of one machine. All run the same few lines, sent as a
 * slug, so that two hundred dynos fit. CPU is what the process itself has used (its ended children too), and says more than time where
 * the machine does other things meanwhile. Asserts nothing.
 */
const COUNTS = [10, 50, 200]
const MAKERS = 4
/** Two lists of the engine, and twice whatever else is done every half minute. */
const IDLE = 60_000
/** What a start leaves behind: V8 gives memory back for about as long, dynos that have just come up are looked at more often. */
const SETTLED = 90_000
const QUIET = 1000
const RUNS = 5

/** Perl without a module: one connection at a time, a line of log for each request. */
const program = String.raw`$| = 1;
socket my $door, 2, 1, 6 or die $!;
setsockopt $door, 1, 2, 1;
bind $door, pack 'S n a4 x8', 2, $ENV{PORT}, "\0\0\0\0" or die $!;
listen $door, 64 or die $!;
while (accept my $client, $door) {
  sysread $client, my $head, 65536 or next;
  print "answered\n";
  syswrite $client, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
}
`

type Figures = Record<string, string>

export async function measureApps(print: (line: string) => void, counts = COUNTS): Promise<void> {
  const columns: Figures[] = []
  for (const count of counts) {
    print(
      `${count} apps, load ${loadavg()
        .map((load) => load.toFixed(1))
        .join(' ')} on ${cpus().length} CPUs`,
    )
    columns.push(await measure(count))
    print(table(counts, columns))
  }
}

function table(counts: number[], columns: Figures[]): string {
  const head = ['', ...counts.slice(0, columns.length).map((count) => `${count} apps`)]
  const rows = Object.keys(columns[0] ?? {}).map((what) => [what, ...columns.map((column) => column[what] ?? '')])
  const line = ([what = '', ...cells]: string[]) => what.padEnd(50) + cells.map((cell) => cell.padStart(12)).join('')
  return [head, ...rows].map(line).join('\n')
}

async function measure(count: number): Promise<Figures> {
  const platform = await startPlatform()
  try {
    const empty = { daemon: await usedBy(platform.daemon.pid), router: await usageOf(platform.router.pid) }
    const made = await makeAll(platform, count)
    await rest(platform)
    return {
      ...made,
      ...(await idle(platform, count, empty)),
      ...(await questions(platform)),
      ...(await changes(platform)),
      ...(await requests(platform, count)),
      ...(await restart(platform)),
      ...(await reboot(platform, count)),
    }
  } finally {
    await platform.stop()
  }
}

const nameOf = (n: number): string => `many-${n}`
const names = (count: number): string[] => Array.from({ length: count }, (_, n) => nameOf(n))

async function makeAll(platform: Platform, count: number): Promise<Figures> {
  const archive = await slugArchive()
  const left = names(count)
  let failures = 0
  const { seconds, cpu } = await cost(platform, async () => {
    const make = async () => {
      for (let name = left.shift(); name !== undefined; name = left.shift()) {
        const failed = await makeApp(platform, name, archive)
        failures += failed
      }
    }
    await Promise.all(Array.from({ length: MAKERS }, make))
  })
  return {
    'releases that failed': String(failures),
    'app made, slug sent, released, serving, each': ms(seconds / count),
    '  CPU of the daemon, each': ms(cpu / count),
  }
}

/** Files of a slug are below `./app`. */
async function slugArchive(): Promise<Buffer> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  try {
    execFileSync('mkdir', [join(dir, 'app')])
    await writeFile(join(dir, 'app', 'server.pl'), program)
    return execFileSync('tar', ['-C', dir, '-cz', './app'])
  } finally {
    await rm(dir, { recursive: true })
  }
}

/** How many of its releases have failed, as they do on a busy machine; the next is tried. */
async function makeApp({ api, ports }: Platform, name: string, body: Buffer): Promise<number> {
  await api('POST', '/apps', { name })
  const { id, blob } = await api<{ id: string; blob: { url: string } }>('POST', `/apps/${name}/slugs`, {
    process_types: { web: 'exec perl server.pl' },
  })
  const sent = await fetch(`http://127.0.0.1:${ports.api}${new URL(blob.url).pathname}${new URL(blob.url).search}`, {
    method: 'PUT',
    body,
  })
  if (!sent.ok) throw new Error(await sent.text())
  for (let failures = 0; failures < RUNS; failures++) {
    const { version } = await api<{ version: number }>('POST', `/apps/${name}/releases`, { slug: id })
    if ((await settled({ api }, name, version)) === 'succeeded') return failures
  }
  throw new Error(`${name} does not come up`)
}

const settled = ({ api }: Pick<Platform, 'api'>, name: string, version: number) =>
  waitFor(
    `v${version} of ${name} to succeed or fail`,
    async () => {
      const { status } = await api<{ status: string }>('GET', `/apps/${name}/releases/${version}`)
      return status !== 'pending' && status
    },
    { within: 120_000, every: 50 },
  )

/** Seconds, and CPU seconds of the daemon and the engine, that some work takes. */
async function cost(
  platform: Platform,
  work: () => Promise<unknown>,
): Promise<{ seconds: number; cpu: number; engine: number }> {
  const pid = await enginePid()
  const spent = async () => ({
    cpu: (await usedBy(platform.daemon.pid)).cpu,
    engine: pid === undefined ? Number.NaN : (await usedBy(pid)).cpu,
  })
  const before = await spent()
  const began = performance.now()
  await work()
  const seconds = (performance.now() - began) / 1000
  const after = await spent()
  return { seconds, cpu: after.cpu - before.cpu, engine: after.engine - before.engine }
}

async function idle(
  platform: Platform,
  count: number,
  empty: { daemon: { memory: number }; router: { memory: number } },
): Promise<Figures> {
  await setTimeout(SETTLED)
  const before = await usageOf(platform.router.pid)
  const { seconds, cpu, engine } = await cost(platform, () => setTimeout(IDLE))
  const daemon = await usedBy(platform.daemon.pid)
  const router = await usageOf(platform.router.pid)
  const each = (now: number, then: number) => `${Math.round(((now - then) / count) * 1024)} KB`
  return {
    'idle: CPU of the daemon': percent(cpu / seconds),
    'idle: CPU of the router': percent((router.cpu - before.cpu) / seconds),
    'idle: CPU of the engine': percent(engine / seconds),
    'memory of the daemon': mb(daemon.memory),
    '  of it for each app, daemon': each(daemon.memory, empty.daemon.memory),
    'memory of the router': mb(router.memory),
    '  of it for each app, router': each(router.memory, empty.router.memory),
    'open files of the daemon': String(daemon.files),
    'open files of the router': String((await usedBy(platform.router.pid)).files),
  }
}

/** What is asked of the engine every half minute, and what people ask of the API. */
async function questions(platform: Platform): Promise<Figures> {
  const installation = (await readFile(join(platform.data, 'installation'), 'utf8')).trim()
  const socket = process.env.SLUICE_ENGINE || '/var/run/docker.sock'
  const engine = createDockerEngine({ socket, installation, data: platform.data, log: createLog(() => {}) })
  await engine.list()
  const cpu = process.cpuUsage()
  const list = await cost(platform, async () => {
    for (let run = 0; run < RUNS; run++) await engine.list()
  })
  const own = process.cpuUsage(cpu)
  const apps = await cost(platform, async () => {
    for (let run = 0; run < RUNS; run++) await platform.api('GET', '/apps')
  })
  const network = await timed(RUNS, makeNetwork)
  return {
    'engine.list': ms(list.seconds / RUNS),
    '  CPU of who asks': ms((own.user + own.system) / 1e6 / RUNS),
    '  CPU of the engine for a list': ms(list.engine / RUNS),
    'GET /apps': ms(apps.seconds / RUNS),
    'a network made and removed by the engine alone': ms(network),
  }
}

async function makeNetwork(): Promise<void> {
  const { Id } = await call<{ Id: string }>('POST', '/networks/create', {
    Name: `sluice-bench-${process.pid}`,
    Driver: 'bridge',
  })
  await call('DELETE', `/networks/${Id}`)
}

/** Median of seconds. */
async function timed(runs: number, work: () => Promise<void>): Promise<number> {
  const times: number[] = []
  for (let run = 0; run < runs; run++) {
    const began = performance.now()
    await work()
    times.push((performance.now() - began) / 1000)
  }
  return median(times)
}

/** A change of one app: of the table only, and a whole cutover. */
async function changes(platform: Platform): Promise<Figures> {
  const { api } = platform
  const app = nameOf(0)
  const [newest] = (await platform.releases(app)).slice(-1)
  let on = false
  const push = await cost(platform, async () => {
    for (let run = 0; run < 2 * RUNS; run++) {
      on = !on
      await api('PATCH', `/apps/${app}`, { maintenance: on })
      const wanted = on ? 503 : 200
      await waitFor('the router to follow', async () => (await platform.request(app)).status === wanted, { every: 1 })
    }
  })
  const cutover = await cost(platform, async () => {
    for (let run = 0; run < RUNS; run++) {
      await api('PATCH', `/apps/${app}/config-vars`, { RUN: String(run) })
      await settled(platform, app, (newest?.version ?? 0) + 1 + run)
    }
  })
  await waitFor('the old dynos to be gone', async () => (await platform.containers(app)).length === 1)
  return {
    'maintenance:on to its page': ms(push.seconds / RUNS / 2),
    '  CPU of the daemon for a push': ms(push.cpu / RUNS / 2),
    'config:set to all new': ms(cutover.seconds / RUNS),
    '  CPU of the daemon for a cutover': ms(cutover.cpu / RUNS),
  }
}

/** A request to each app, with the lines that router and dyno write for it. */
async function requests(platform: Platform, count: number): Promise<Figures> {
  const before = await usageOf(platform.router.pid)
  const { seconds, cpu } = await cost(platform, async () => {
    for (const name of names(count)) await platform.request(name)
    await setTimeout(QUIET)
  })
  const router = await usageOf(platform.router.pid)
  return {
    'request to each app': ms((seconds - QUIET / 1000) / count),
    '  CPU of the daemon for its lines': ms(cpu / count),
    '  CPU of the router': ms((router.cpu - before.cpu) / count),
  }
}

/** The containers have stayed. */
async function restart(platform: Platform): Promise<Figures> {
  await platform.daemon.kill()
  const began = performance.now()
  await platform.startDaemon()
  const answers = performance.now() - began
  const { quiet, cpu } = await rest(platform)
  return {
    'restart: the API answers after': ms(answers / 1000),
    '  at rest after': ms((quiet - began) / 1000),
    '  CPU of the daemon to rest': ms(cpu),
  }
}

/** When it has used less than a twentieth of a core for a while, and what it had used until then. */
async function rest({ daemon }: Platform): Promise<{ quiet: number; cpu: number }> {
  let { cpu } = await usedBy(daemon.pid)
  for (;;) {
    const quiet = performance.now()
    await setTimeout(QUIET)
    const now = (await usedBy(daemon.pid)).cpu
    if (now - cpu < QUIET / 1000 / 20) return { quiet, cpu }
    cpu = now
  }
}

/** All containers are gone, as after a crash of the machine. */
async function reboot(platform: Platform, count: number): Promise<Figures> {
  await platform.daemon.kill()
  const gone = await platform.containers()
  for (const { Id } of gone) await call('DELETE', `/containers/${Id}?force=true`)
  const began = performance.now()
  await platform.startDaemon()
  const all = await waitFor(
    'all apps to serve again',
    async () => {
      for (const name of names(count)) if ((await platform.request(name)).status !== 200) return false
      return performance.now()
    },
    { within: 600_000, every: 200 },
  )
  const { cpu } = await usedBy(platform.daemon.pid)
  return {
    'all containers gone: all serve again after': ms((all - began) / 1000),
    '  CPU of the daemon until all serve': ms(cpu),
  }
}

const ms = (seconds: number): string =>
  seconds < 10 ? `${Math.round(seconds * 1e4) / 10} ms` : `${seconds.toFixed(1)} s`
const mb = (value: number): string => `${value.toFixed(0)} MB`
const percent = (share: number): string => `${(share * 100).toFixed(2)} %`
