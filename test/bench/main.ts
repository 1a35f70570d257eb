import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { call } from '../e2e/engine.ts'
import { type Platform, startPlatform } from '../e2e/platform.ts'
import { type Source, sampleFiles } from '../e2e/source.ts'
import { waitFor } from '../e2e/wait.ts'
import { measureApi } from './api.ts'
import { measureApps } from './apps.ts'
import { measureBuilds } from './build.ts'
import { measureCli } from './cli.ts'
import { type Floor, measureBuildFloor, measureFloor } from './floor.ts'
import { measureLogs } from './logs.ts'
import { measureRouter } from './router.ts'
import { measureDockerRun, measureRun } from './run.ts'
import { median, type Row, show, table } from './table.ts'

/**
 * How long a user waits, on this machine, now: medians of several runs, beside what the engine alone takes for the same containers.
 * The app is the Perl sample, so that neither buildpack nor boot hides what Sluice adds. Asserts nothing.
 */
const app = 'bench'
const fast = { within: 120_000, every: 5 }

async function main(): Promise<void> {
  // `node dist/test/bench/main.js api` measures the API alone, without an engine; `logs` the log pipeline alone, `router` the router alone, `builds` builds alone, `apps` many apps alone, `cli` the command line alone.
  const [, , only, rounds, part] = process.argv
  const print = (line: string) => process.stdout.write(`${line}\n`)
  if (only === 'router') return measureRouter(print, { rounds: Number(rounds ?? 5), part: part ?? '' })
  if (only === 'cli') return measureCli(print, rounds === undefined ? undefined : Number(rounds))
  if (only === 'apps') return measureApps(print, rounds === undefined ? undefined : [Number(rounds)])
  if (only !== 'logs' && only !== 'builds') await measureApi(print)
  if (only === 'api') return
  const platform = await startPlatform({ SLUICE_DRAIN_ALLOW: '127.0.0.1' })
  try {
    if (only !== 'logs' && only !== 'builds') await deploys(platform)
    if (only !== 'logs') await measureBuilds(platform, print, Number(rounds ?? 3))
    if (only !== 'builds') print(`${table(await measureLogs(platform))}\n`)
    await printMachine()
  } finally {
    await platform.stop()
  }
}

async function deploys(platform: Platform): Promise<void> {
  const first = await times(3, (run) => firstPush(platform, `first-${run}`))
  const source = await platform.deploy(app)
  const floor = await floors(platform)
  const run = floor.start + floor.boot
  const cutovers: Cutover[] = []
  const rows: Row[] = [
    { what: 'push to live, first push', runs: first, floor: floor.build + run },
    {
      what: 'push to live, small change',
      runs: await times(5, (run) => change(platform, source, run)),
      floor: floor.build + run,
    },
    { what: 'push to live, empty commit', runs: await times(5, () => emptyCommit(platform, source)), floor: run },
    { what: 'config:set to all new', runs: await times(5, (run) => setConfig(platform, run, cutovers)), floor: run },
    { what: 'cutover: ready to first request on new', runs: cutovers.map(({ ready }) => ready) },
    { what: 'cutover: first on new to old gone', runs: cutovers.map(({ gone }) => gone) },
    { what: 'ps:scale 1 to 4', runs: await times(3, () => scaleUp(platform)), floor: floor.three },
    { what: 'run: Enter to first byte', runs: await runs(platform), floor: floor.run },
    { what: 'API: GET /apps/NAME', runs: await latencies(platform, 200) },
    { what: 'request through the router', runs: await requests(platform, 200) },
    { what: 'memory of the daemon, idle', runs: [await memory(platform.daemon.pid)], unit: 'MB' },
    { what: 'memory of the router, idle', runs: [await memory(platform.router.pid)], unit: 'MB' },
  ]
  process.stdout.write(`${table(rows)}\n\n`)
  process.stdout.write(
    `The engine alone: ${show(floor.start)} to create and start the same container, ${show(floor.build)} for an empty build container. The app's own boot: ${show(floor.boot)}.\n`,
  )
}

async function times(count: number, measure: (run: number) => Promise<number>): Promise<number[]> {
  const runs: number[] = []
  for (let run = 0; run < count; run++) runs.push(await measure(run))
  return runs
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

async function firstPush(platform: Platform, name: string): Promise<number> {
  await platform.createApp(name)
  const source = await platform.createSource(sampleFiles())
  const took = await timed(() => pushed(platform, source, name))
  await platform.api('DELETE', `/apps/${name}`)
  return took
}

async function pushed(platform: Platform, source: Source, name: string): Promise<void> {
  const { code, output } = await platform.push(source, name)
  if (code !== 0) throw new Error(output)
}

async function change(platform: Platform, source: Source, run: number): Promise<number> {
  await source.version(`v${run + 2}`)
  return timed(() => pushed(platform, source, app))
}

async function emptyCommit(platform: Platform, source: Source): Promise<number> {
  await source.commit({})
  return timed(() => pushed(platform, source, app))
}

interface Cutover {
  ready: number
  gone: number
}

/** From the request that sets a config var to the release's success; on the way, what the app's users see of the cutover. */
async function setConfig(platform: Platform, run: number, cutovers: Cutover[]): Promise<number> {
  await alone(platform)
  const before = (await platform.request(app, '/ready')).body
  const began = performance.now()
  await platform.api('PATCH', `/apps/${app}/config-vars`, { RUN: String(run) })
  const ready = await waitFor(
    'a new answer',
    async () => {
      const { body } = await platform.request(app, '/ready')
      return body !== before && body
    },
    fast,
  )
  const seen = Date.now()
  const releases = await platform.releases(app)
  await waitFor(
    'the release to succeed',
    async () => (await platform.releases(app))[releases.length - 1]?.status === 'succeeded',
    fast,
  )
  const took = performance.now() - began
  await alone(platform)
  cutovers.push({ ready: seen - Number(ready), gone: Date.now() - seen })
  return took
}

/** Nothing of the app but one dyno is left. */
const alone = (platform: Platform) =>
  waitFor('the old dynos to be gone', async () => (await platform.containers(app)).length === 1, fast)

async function scaleUp(platform: Platform): Promise<number> {
  const scale = (quantity: number) => platform.api('PATCH', `/apps/${app}/formation/web`, { quantity })
  const up = async () => (await platform.dynos(app)).filter(({ state }) => state === 'up').length
  const took = await timed(async () => {
    await scale(4)
    await waitFor('four dynos to be up', async () => (await up()) === 4, fast)
  })
  await scale(1)
  await alone(platform)
  return took
}

const runs = (platform: Platform) => times(7, () => measureRun(platform, app))

const latencies = (platform: Platform, count: number) =>
  times(count, () => timed(() => platform.api('GET', `/apps/${app}`)))

const requests = (platform: Platform, count: number) => times(count, () => timed(() => platform.request(app)))

/** One container, three at once, and a build container that does nothing. */
async function floors(platform: Platform): Promise<Floor & { three: number; build: number; run: number }> {
  const [container] = await platform.containers(app)
  if (!container) throw new Error('the app has no container')
  const runs: Floor[] = []
  for (let run = 0; run < 5; run++) runs.push(await measureFloor(container.Id))
  const build = median(await times(3, () => measureBuildFloor(container.Id)))
  const three = await times(3, () => timed(() => Promise.all([1, 2, 3].map(() => measureFloor(container.Id)))))
  const { Image } = await call<{ Image: string }>('GET', `/containers/${container.Id}/json`)
  return {
    run: median(await times(7, () => measureDockerRun(Image))),
    three: median(three),
    build,
    start: median(runs.map(({ start }) => start)),
    boot: median(runs.map(({ boot }) => boot)),
  }
}

const memory = async (pid: number): Promise<number> =>
  Number(/^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

async function printMachine(): Promise<void> {
  const { Version } = await call<{ Version: string }>('GET', '/version')
  process.stdout.write(
    `${cpus().length} CPUs (${cpus()[0]?.model.trim()}), Node.js ${process.version}, Docker Engine ${Version}\n`,
  )
}

main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})
