import { parseArgs } from 'node:util'
import { ask } from './api.ts'
import { styled, table } from './output.ts'
import { type Program, words } from './program.ts'
import { Failure } from './settings.ts'

const HELP = `Usage: sluice disk [APP | --apps] [--json]
       sluice disk --collect [--slugs] [--dry-run] [--json]

  APP          what one app holds, largest first, and why it is kept
  --apps       what each app holds, largest first
  --collect    removes what can go now: copies, idle trees, buildpacks, caches, unused base images
  --slugs      and old slugs, down to two of each app: these cannot be rolled back to any more
  --dry-run    tells what --collect would remove, and removes nothing
  --json       for machines; sizes are bytes

Examples:  sluice disk
           sluice disk shop
           sluice disk --collect --dry-run
`

/** What the API tells; sizes are bytes. */
interface Sum {
  size: number
  /** Of it, what can go. */
  collectable: number
}
interface Kind extends Sum {
  kind: string
  count: number
  collectable_count: number
}
interface FileSystem {
  place: 'data' | 'engine'
  used: number
  size: number
  free: number
  budget: number
  short: boolean
}
interface Overview {
  file_systems: FileSystem[]
  kinds: Kind[]
  apps: (Sum & { app: { name: string } })[]
}
interface OfApp {
  app: { name: string }
  holdings: { kind: string; name: string; size: number; why: string; collectable: boolean }[]
}

const options = {
  apps: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  collect: { type: 'boolean', default: false },
  slugs: { type: 'boolean', default: false },
  'dry-run': { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

export const register = (program: Program): void =>
  words(program, 'disk', async (args) => void process.stdout.write(await disk(args)))

/** What holds how much disk, or the removal of what can go: a table, or JSON. */
async function disk(args: string[]): Promise<string> {
  const { apps, json, collect, slugs, dryRun, help, app } = parse(args)
  if (help) return HELP
  if (collect) {
    const done = dryRun ? collectable(await overview(), slugs) : await collected(slugs)
    return json ? print(done) : showCollected(done, dryRun, slugs)
  }
  if (app !== undefined) {
    const found = await ask<OfApp>('GET', `/sluice/disk/apps/${encodeURIComponent(app)}`)
    return json ? print(found) : showApp(found)
  }
  const found = await overview()
  return json ? print(found) : apps ? showApps(found) : showKinds(found)
}

function parse(args: string[]) {
  const { values, positionals } = parsed(() => parseArgs({ args, options, allowPositionals: true }))
  const { apps, json, collect, slugs, 'dry-run': dryRun, help } = values
  const [app, ...more] = positionals
  const views = [app !== undefined, apps, collect].filter(Boolean).length
  if (more.length > 0 || views > 1 || ((slugs || dryRun) && !collect)) throw new Failure(HELP)
  return { apps, json, collect, slugs, dryRun, help, app }
}

function parsed<Result>(parse: () => Result): Result {
  try {
    return parse()
  } catch {
    throw new Failure(HELP)
  }
}

const overview = (): Promise<Overview> => ask('GET', '/sluice/disk')

interface Collected {
  collected: Pick<Kind, 'kind' | 'count' | 'size'>[]
  file_systems: FileSystem[]
}

const collected = (slugs: boolean): Promise<Collected> => ask('POST', '/sluice/disk/collect', { body: { slugs } })

/** What somebody may want to go back to goes at their word only. */
const KEPT_UNASKED = ['slug', 'image']

/** What would go. */
const collectable = ({ kinds, file_systems }: Overview, slugs: boolean): Collected => ({
  collected: kinds
    .filter((one) => one.collectable > 0 && (slugs || !KEPT_UNASKED.includes(one.kind)))
    .map(({ kind, collectable_count: count, collectable: size }) => ({ kind, count, size })),
  file_systems,
})

const print = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

function showKinds({ file_systems, kinds }: Overview): string {
  const rows = kinds.map((one) => [one.kind, String(one.count), bytes(one.size), canGo(one.collectable)])
  return `${showSpace(file_systems)}\n${table(['kind', 'count>', 'size>', 'can go>'], rows)}`
}

function showApps({ file_systems, apps }: Overview): string {
  const rows = apps.map(({ app, size, collectable }) => [app.name, bytes(size), canGo(collectable)])
  return `${showSpace(file_systems)}\n${table(['app', 'size>', 'can go>'], rows)}`
}

function showApp({ app, holdings }: OfApp): string {
  if (holdings.length === 0) return `${app.name} holds nothing.\n`
  const rows = holdings.map((one) => [...[one.kind, one.name, bytes(one.size), one.collectable ? 'yes' : ''], one.why])
  return table(['kind', 'name', 'size>', 'can go', 'why it is kept'], rows)
}

function showCollected({ collected, file_systems }: Collected, dryRun: boolean, slugs: boolean): string {
  const sum = bytes(collected.reduce((all, { size }) => all + size, 0))
  const rows = collected.map(({ kind, count, size }) => [kind, String(count), bytes(size)])
  const told = collected.length === 0 ? '' : table(['kind', 'count>', 'size>'], rows)
  const said = dryRun ? `This would go: ${sum}. Nothing was removed.` : `Removed ${sum}.`
  const more = slugs || !file_systems.some(({ short }) => short) ? '' : ' Old slugs go with --slugs.'
  return `${told}${said}${more}\n${dryRun ? '' : showSpace(file_systems)}`
}

const PLACES = { data: 'the data folder', engine: 'images of the engine' }

/** A line for each file system; places of the same size are on the same. */
function showSpace(all: FileSystem[]): string {
  const lines = [...new Set(all.map(({ size }) => size))].map((size) => {
    const same = all.filter((one) => one.size === size)
    const { used = 0, free = 0, budget = 0 } = same[0] ?? {}
    const where = same.map(({ place }) => PLACES[place]).join(' and ')
    const line = `${bytes(used)} of ${bytes(size)} in use, ${bytes(free)} free, budget ${bytes(budget)} (${where})`
    return same.some(({ short }) => short) ? styled('red', `${line}: short of disk`) : line
  })
  const missing = all.some(({ place }) => place === 'engine')
    ? []
    : ['The engine does not answer: its images are missing.']
  return [...lines, ...missing].map((line) => `${line}\n`).join('')
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** With powers of 1000, as in SLUICE_DISK. */
function bytes(size: number): string {
  let [value, unit] = [size, 0]
  for (; value >= 999.5 && unit < UNITS.length - 1; unit++) value /= 1000
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

const canGo = (size: number): string => (size === 0 ? '' : bytes(size))
