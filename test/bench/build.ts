import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Stage, stages } from '../../daemon/build/stage.ts'
import { run } from '../e2e/command.ts'
import type { Platform } from '../e2e/platform.ts'
import type { Source } from '../e2e/source.ts'
import { waitFor } from '../e2e/wait.ts'
import { createPlain } from './buildpack.ts'
import { measureFloor } from './floor.ts'
import { median, type Row, table } from './table.ts'

/**
 * What a push takes at its client, for a plain Express app and for one with 300 packages: the first, one with a change of one file, and
 * an empty commit. Each in turn with the same buildpack on the same sources by plain `docker run`, which is the floor. Then where the
 * time goes, by the daemon's own log.
 */
export async function measureBuilds(platform: Platform, print: (line: string) => void, rounds: number): Promise<void> {
  const load = loadavg()[0] ?? 0
  for (const [what, dependencies] of Object.entries(apps))
    await measure(platform, print, { what, dependencies, rounds })
  print(
    `Load of the machine when it began: ${load.toFixed(1)}. On a machine that is not idle the figures are good only beside one another.`,
  )
}

const express = { express: '5' }
/** 300 packages with theirs, most of them small. */
const many = {
  ...express,
  ...{ lodash: '4', axios: '1', winston: '3', jsonwebtoken: '9', ioredis: '5', pg: '8', yargs: '17', joi: '17' },
  ...{ helmet: '8', cors: '2', compression: '1', passport: '0.7', webpack: '5', 'fs-extra': '11', glob: '11' },
  ...{ nodemailer: '6', multer: '2', ejs: '3', uuid: '11', dayjs: '1', async: '3', bluebird: '3', chalk: '5' },
}
const apps = { Express: express, '300 packages': many }

const server = `const app = require('express')()
app.get('/', (_, reply) => reply.send(require('node:fs').readFileSync('version', 'utf8')))
app.listen(process.env.PORT)
`

interface Case {
  what: string
  dependencies: Record<string, string>
  rounds: number
}

/** What a round has of each kind of push, and of its floor. */
interface Runs {
  pushes: Record<Kind, Push[]>
  /** ms. */
  floors: Record<Kind, number[]>
}

type Kind = (typeof kinds)[number]
const kinds = ['first push', 'one file changed', 'empty commit'] as const

interface Push {
  ms: number
  /** By the daemon's log. */
  stages: Partial<Record<Stage, number>>
}

async function measure(platform: Platform, print: (line: string) => void, { what, dependencies, rounds }: Case) {
  const files = await sourceOf(dependencies)
  const packages = Object.keys(JSON.parse(files['package-lock.json'] ?? '').packages).length - 1
  const runs: Runs = { pushes: none(), floors: none() }
  for (let n = 0; n < rounds; n++) await round(platform, { name: `bench-${packages}-${n}`, files }, runs)
  const rows = kinds.map((kind): Row => {
    const floors = runs.floors[kind]
    return { what: kind, runs: runs.pushes[kind].map(({ ms }) => ms), floor: median(floors) }
  })
  print(`${what}, ${packages} packages`)
  print(`${table(rows, 'without Sluice')}\n`)
  print(`${spent(runs.pushes)}\n`)
}

const none = <Of>(): Record<Kind, Of[]> => ({ 'first push': [], 'one file changed': [], 'empty commit': [] })

async function round(platform: Platform, { name, files }: { name: string; files: Files }, { pushes, floors }: Runs) {
  await platform.createApp(name)
  const source = await platform.createSource(files)
  const plain = await createPlain()
  try {
    for (const kind of kinds) {
      if (kind !== 'first push') await source.commit(kind === 'empty commit' ? {} : { version: 'changed\n' })
      pushes[kind].push(await push(platform, source, name))
      const built = kind === 'empty commit' ? 0 : await plain.build(source.dir)
      floors[kind].push(built + (await bootOf(platform, name)))
    }
  } finally {
    await plain.remove()
    await platform.api('DELETE', `/apps/${name}`)
  }
}

async function push(platform: Platform, source: Source, app: string): Promise<Push> {
  const began = performance.now()
  const { code, output } = await platform.push(source, app)
  const ms = performance.now() - began
  if (code !== 0) throw new Error(output)
  const ended = await waitFor('the deploy to be logged', () => platform.daemon.log().match(ENDED)?.at(-1))
  const { ms: stages } = JSON.parse(ended.slice(ended.indexOf('{')))
  return { ms, stages }
}

const ENDED = /^.*"event":"deploy ended".*$/gm

/** The engine's and the app's own part: a copy of its dyno, from create to its first connection. */
async function bootOf(platform: Platform, app: string): Promise<number> {
  const [container] = await waitFor('one dyno', async () => {
    const all = await platform.containers(app)
    return all.length === 1 && all
  })
  const { start, boot } = await measureFloor(container?.Id ?? '')
  return start + boot
}

type Files = Record<string, string>

/** With the lock file that npm makes of it now. */
async function sourceOf(dependencies: Record<string, string>): Promise<Files> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  const about = { name: 'bench', version: '1.0.0', private: true, scripts: { start: 'node server.js' }, dependencies }
  const files = { 'package.json': JSON.stringify(about, null, 2), 'server.js': server, version: 'first\n' }
  try {
    await writeFile(join(folder, 'package.json'), files['package.json'])
    const npm: [string, ...string[]] = ['npm', 'install', '--package-lock-only', '--ignore-scripts', '--no-audit']
    const { code, output } = await run(npm, { cwd: folder, env: process.env })
    if (code !== 0) throw new Error(`npm made no lock file: ${output}`)
    return { ...files, 'package-lock.json': await readFile(join(folder, 'package-lock.json'), 'utf8') }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Medians by stage, ms; `git` is what the daemon's log does not tell of: the client, the transfer, the hook. */
function spent(pushes: Runs['pushes']): string {
  const told = (stage: Stage | 'git', { ms, stages }: Push): number =>
    stage === 'git' ? ms - Object.values(stages).reduce((sum, one) => sum + one, 0) : (stages[stage] ?? 0)
  const line = (...cells: (string | number)[]) => cells.map((cell) => String(cell).padStart(18)).join('')
  const lines = (['git', ...stages] as const).map((stage) =>
    line(stage, ...kinds.map((kind) => Math.round(median(pushes[kind].map((one) => told(stage, one)))))),
  )
  return [line('ms', ...kinds), ...lines].join('\n')
}
