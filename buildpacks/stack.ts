import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, realpathSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { connect } from '../daemon/engine/connection.ts'
import { type Image, imageId, inspectImage, loadImage, pullImage, removeImage } from '../daemon/engine/image.ts'
import { type Layer, layerOf, savedImages } from './stack/archive.ts'
import { aptSources } from './stack/mirror.ts'
import { packagesFor, readPackages } from './stack/packages.ts'
import { isolated } from './stack/process.ts'

/*
 * Which image pair stands behind a stack's name:
 *
 *   official pair in the engine ----------------------------------------> official
 *   Debian pair in the engine, made from today's lists -----------------> debian
 *   neither: a hub answers within HUB_ANSWERS -> pull the official pair -> official
 *            no hub -> make the two layers, load both images at once ---> debian
 *
 * An image is named only when it is whole, and a pair counts only when both halves carry the same label, so an interruption leaves
 * nothing behind but files that the next run removes. The Debian pair is the same for every stack: only its names differ.
 */

export interface Stack {
  /** Image id that dynos run on. */
  run: string
  /** Image id that builds run on; its lower layers are those of `run`. */
  build: string
  origin: 'official' | 'debian'
}

export const stackNames = ['heroku-24', 'heroku-26'] as const
type StackName = (typeof stackNames)[number]
type Half = 'run' | 'build'

/** A pair with the same value was made from the same lists by the same script. */
const LABEL = 'sluice.stack'
/** A hub that has not said a word by then is taken as unreachable. */
const HUB_ANSWERS = 8000
/** Two layers, once as files and once in the engine. */
const SPACE_NEEDED = 4 * 1024 ** 3
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
const PACKAGE_ROOT = join(import.meta.dirname, '..', '..')
const FILES = join(PACKAGE_ROOT, 'buildpacks', 'stack')
const WORK = 'sluice-stack-'

/** The pairs that the engine has, by stack name. Rejects with EngineError when the engine does not answer. */
export async function resolveStacks(socket: string): Promise<Map<string, Stack>> {
  const found = await Promise.all(stackNames.map(async (name) => [name, await pairOf(socket, name)] as const))
  return new Map(found.flatMap(([name, stack]) => (stack ? [[name, stack]] : [])))
}

/** Whether the engine has each of `names`, as today's lists would make it. Rejects with EngineError when the engine does not answer. */
export const stacksReady = async (socket: string, names: readonly StackName[]): Promise<boolean> =>
  (await missing(socket, names, await recipe())).length === 0

/** Makes sure that the engine has every stack in `names`; only one process at a time may do so. Rejects with a sentence for the user. */
export async function ensureStacks(socket: string, names: readonly StackName[]): Promise<void> {
  const hash = await recipe()
  const unreachable: StackName[] = []
  for (const name of await missing(socket, names, hash)) if (!(await pullOfficial(socket, name))) unreachable.push(name)
  if (unreachable.length > 0) await makeDebian(socket, hash)
}

async function missing(socket: string, names: readonly StackName[], hash: string): Promise<StackName[]> {
  const there = await Promise.all(names.map((name) => current(socket, name, hash)))
  return names.filter((_, i) => !there[i])
}

async function pairOf(socket: string, name: StackName): Promise<Stack | null> {
  const [run, build] = await Promise.all([
    imageId(socket, official(name, 'run')),
    imageId(socket, official(name, 'build')),
  ])
  if (run && build) return { run, build, origin: 'official' }
  const debian = await debianPair(socket, name)
  return debian && { run: debian.run.id, build: debian.build.id, origin: 'debian' }
}

async function debianPair(socket: string, name: StackName): Promise<{ run: Image; build: Image } | null> {
  const [run, build] = await Promise.all([
    inspectImage(socket, own(name, 'run')),
    inspectImage(socket, own(name, 'build')),
  ])
  return run?.labels[LABEL] && run.labels[LABEL] === build?.labels[LABEL] ? { run, build } : null
}

async function current(socket: string, name: StackName, hash: string): Promise<boolean> {
  const stack = await pairOf(socket, name)
  if (stack?.origin === 'official') return true
  return (await debianPair(socket, name))?.run.labels[LABEL] === hash
}

async function pullOfficial(socket: string, name: StackName): Promise<boolean> {
  say(`looking for Heroku's own images of ${name} on a hub`)
  const silence = new AbortController()
  const deadline = setTimeout(() => silence.abort(new Error(`no answer within ${HUB_ANSWERS / 1000} s`)), HUB_ANSWERS)
  try {
    for (const half of ['run', 'build'] as const)
      await pullImage(socket, official(name, half), { progress: () => clearTimeout(deadline), signal: silence.signal })
    say(`${name} is Heroku's own image pair`)
    return true
  } catch {
    say(
      `Heroku's own images of ${name} cannot be pulled; a Debian 13 pair from Heroku's package lists takes their place`,
    )
    return false
  } finally {
    clearTimeout(deadline)
  }
}

async function makeDebian(socket: string, hash: string): Promise<void> {
  const started = Date.now()
  const sources = await aptSources()
  await requirePackages()
  await removeLeftovers()
  await checkSpace(socket)
  const old = await Promise.all(stackNames.map((name) => debianPair(socket, name)))
  const work = await mkdtemp(join(workFolder(), WORK))
  try {
    await writeFile(join(work, 'sources'), sources)
    for (const half of ['run', 'build'] as const)
      await writeFile(join(work, `${half}.packages`), `${(await packagesFor(half)).join('\n')}\n`)
    await isolated(['bash', join(FILES, 'debian.sh'), work])
    say('loading both images into the engine')
    await load(socket, hash, {
      run: await layerOf(join(work, 'run.tar')),
      build: await layerOf(join(work, 'build.tar')),
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  for (const pair of old) for (const image of [pair?.build, pair?.run]) await forget(socket, image, hash)
  say(`${stackNames.join(' and ')} are ready after ${Math.round((Date.now() - started) / 1000)} s`)
}

/** What makes the Debian pair is not installed. */
export class PackagesMissing extends Error {}

async function requirePackages(): Promise<void> {
  const made = await promisify(execFile)('mmdebstrap', ['--version']).catch(() => undefined)
  if (made && existsSync(KEYRING)) return
  throw new PackagesMissing(
    "Heroku's images cannot be pulled, and what makes a Debian pair in their place is not installed: apt-get install mmdebstrap debian-archive-keyring. Or let the engine reach a hub.",
  )
}

async function load(socket: string, hash: string, layers: { run: Layer; build: Layer }): Promise<void> {
  const labels = { [LABEL]: hash }
  const tags = (half: Half) => stackNames.map((name) => own(name, half))
  const images = [
    { tags: tags('run'), labels, layers: [layers.run] },
    { tags: tags('build'), labels, layers: [layers.run, layers.build] },
  ]
  await loadImage(socket, own(stackNames[0], 'build'), savedImages(images))
}

/** An image that lost its names goes, unless a container still stands on it. */
async function forget(socket: string, image: Image | undefined, hash: string): Promise<void> {
  if (image && image.labels[LABEL] !== hash) await removeImage(socket, image.id).catch(() => {})
}

/** What the Debian pair is made from; a change of any of it makes a new pair. */
async function recipe(): Promise<string> {
  const hash = createHash('sha256')
  for (const half of ['run', 'build'] as const) hash.update(JSON.stringify(await readPackages(half)))
  return hash.update(await readFile(join(FILES, 'debian.sh'))).digest('hex')
}

async function checkSpace(socket: string): Promise<void> {
  const { DockerRootDir: root } = (await connect(socket).ask('tell about itself', (docker) => docker.info())) as {
    DockerRootDir?: string
  }
  for (const folder of [workFolder(), root ?? '/']) {
    if (!existsSync(folder)) continue
    const { bavail, bsize } = await statfs(realpathSync(folder))
    if (bavail * bsize < SPACE_NEEDED)
      throw new Error(
        `Making the stack images needs 4 GB of disk below ${folder}, and ${((bavail * bsize) / 1024 ** 3).toFixed(1)} GB are free. Free some, then run this again.`,
      )
  }
}

/** The lock says that nobody works in them. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(workFolder()))
    if (name.startsWith(WORK)) await rm(join(workFolder(), name), { recursive: true, force: true })
}

/** Not /tmp, which may be memory. */
const workFolder = (): string => (existsSync('/var/tmp') ? '/var/tmp' : tmpdir())
const official = (name: StackName, half: Half): string =>
  `heroku/heroku:${name.slice('heroku-'.length)}${half === 'build' ? '-build' : ''}`
const own = (name: StackName, half: Half): string => `sluice/${name}:${half}`
const say = (text: string): void => void process.stdout.write(`stack: ${text}\n`)
