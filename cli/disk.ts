import { ask } from './api.ts'
import { missingFlag, USAGE } from './command.ts'
import { json, say, styled, table } from './output.ts'
import type { Program } from './program.ts'
import { Failure } from './settings.ts'
import { examples } from './usage.ts'

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

const JSON_FLAG = ['--json', 'for machines; sizes are bytes'] as const
const SLUGS = ['--slugs', 'old slugs too, down to two of each app: these cannot be rolled back to any more'] as const
const DRY_RUN = ['--dry-run', 'tell what would be removed, and remove nothing'] as const

interface Choice {
  apps?: boolean
  collect?: boolean
  slugs?: boolean
  dryRun?: boolean
  json?: boolean
}

export function register(program: Program): void {
  program
    .command('disk')
    .description('what holds how much disk, and what of it can go')
    .argument('[app]', 'what one app holds, largest first, and why it is kept')
    .option('--apps', 'what each app holds, largest first')
    .option('--collect', 'remove what can go now, as sluice gc does')
    .option(...SLUGS)
    .option(...DRY_RUN)
    .option(...JSON_FLAG)
    .addHelpText(...examples('$ sluice disk', '$ sluice disk shop', '$ sluice disk --collect --dry-run'))
    .action(disk)
  program
    .command('gc')
    .description('remove what can go now: copies, idle trees, buildpacks, caches, unused base images')
    .option(...SLUGS)
    .option(...DRY_RUN)
    .option(...JSON_FLAG)
    .addHelpText(...examples('$ sluice gc --dry-run', '$ sluice gc --slugs'))
    .action(collect)
}

async function disk(app: string | undefined, choice: Choice): Promise<void> {
  const views = [app !== undefined, choice.apps, choice.collect].filter(Boolean).length
  if (views > 1) throw new Failure('Give one of APP, --apps and --collect.', USAGE)
  if ((choice.slugs || choice.dryRun) && !choice.collect) throw new Failure(missingFlag('collect'), USAGE)
  if (choice.collect) return collect(choice)
  if (app !== undefined) {
    const found = await ask<OfApp>('GET', `/sluice/disk/apps/${encodeURIComponent(app)}`)
    return choice.json ? json(found) : show(showApp(found))
  }
  const found = await overview()
  if (choice.json) json(found)
  else show(choice.apps ? showApps(found) : showKinds(found))
}

async function collect({ slugs = false, dryRun = false, json: asJson }: Choice): Promise<void> {
  const done = dryRun ? collectable(await overview(), slugs) : await collected(slugs)
  if (asJson) json(done)
  else show(showCollected(done, dryRun, slugs))
}

const show = (text: string): void => say(text.trimEnd())

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
    : ["What the engine's images take is missing: it does not answer, or its folder cannot be seen. See: sluice doctor"]
  return [...lines, ...missing].map((line) => `${line}\n`).join('')
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** With powers of 1000, as in SLUICE_DISK. */
export function bytes(size: number): string {
  let [value, unit] = [size, 0]
  for (; value >= 999.5 && unit < UNITS.length - 1; unit++) value /= 1000
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

const canGo = (size: number): string => (size === 0 ? '' : bytes(size))
