import { appendFileSync, existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { limits } from './limits.ts'

/**
 * The steps of the control plane between which it may be killed, as `what it is about.what has just been done`, each with what a crash
 * right there leaves. A step that makes something durable, or tells an engine or a router something, has one; every one of them is
 * struck by test/e2e (z-failpoint*.test.ts), which fails when one is named here that no test reaches.
 */
export const failpoints = {
  'repository.made': 'a repository under a passing name',
  'push.received': 'what was pushed is in git’s quarantine, and in no row',
  'push.served': 'the release serves, and the branch has not moved',
  'build.begun': 'a pending build that nobody works on',
  'build.laid': 'the source, and the app’s spare cache, are in the folder of a build',
  'build.created': 'the container of a build, not started',
  'build.ended': 'the container of a build, ended',
  'build.compiled': 'a finished tree, archive and cache are in the folder of a build',
  'cache.next': 'the new cache of an app is beside the old one',
  'cache.copied': 'a copy of a cache under a passing name',
  'slug.archived': 'the archive of a slug without a tree or a row',
  'slug.placed': 'the files of a slug without a row',
  'slug.received': 'the files of a slug whose row still awaits them',
  'slugs.deleted': 'files and images of slugs that nothing needs, whose rows say so',
  'slugs.forgotten': 'files of slugs whose rows are gone',
  'source.placed': 'a source whose row does not know it',
  'network.of-build': 'the network of a build that did not begin',
  'image.layer': 'a layer that the builder goes on from, held under the name of a build',
  'image.uncached': 'an app lets go of the layers of its last build and does not hold those of the new one',
  'image.held': 'an image is held for a slug without a row',
  'image.pulled': 'a pushed image is held under a passing name',
  'release.made': 'a release is committed that nobody has acted on',
  'config.released': 'the same, by a change of config vars',
  'rollback.released': 'the same, by a rollback',
  'promotion.begun': 'a promotion that nobody works on',
  'promotion.released': 'the target of a promotion has its release, and the promotion does not know what became of it',
  'promotion.served': 'the same, when it serves',
  'rollout.phase': 'a release command is to run, and has no dyno',
  'rollout.booting': 'a release command has run and must not run again, or there is none, and nothing boots',
  'rollout.cutover': 'a release is to be served, and no router knows',
  'rollout.succeeded': 'a release serves, and the one before it has all its dynos',
  'rollout.failed': 'a release has failed, and its dynos are there',
  'table.sent': 'routers follow a table, and their acknowledgements reach nobody',
  'formation.scaled': 'quantities that nobody has acted on',
  'dynos.marked': 'dynos are to be replaced, and nobody acts on it',
  'dynos.stopped': 'dynos are to stop, and nobody acts on it',
  'oneoff.inserted': 'the row of a one-off dyno that nobody starts',
  'dyno.inserted': 'the row of a dyno without a container',
  'network.made': 'the network of an app without a dyno in it',
  'layer.made': 'the folder of a dyno’s files without a volume',
  'volume.made': 'the volume of a dyno without a container',
  'container.created': 'the container of a dyno, not started',
  'container.started': 'a container that runs and that the daemon never saw start',
  'dyno.up': 'a dyno is up, and nothing follows from it',
  'dyno.draining': 'a dyno is to drain, and no router knows',
  'dyno.stopping': 'a dyno is to stop, and the engine was not told',
  'container.ended': 'the container of a dyno has ended by our signal and is there',
  'container.removed': 'the volume of a dyno without its container',
  'volume.removed': 'the folder of a dyno’s files without its volume',
  'dyno.gone': 'the row of a dyno whose container is gone',
  'dyno.counted': 'the same, when its requests are in a receipt',
  'dyno.crashed': 'a crash is on record, and nobody was told',
  'dyno.down': 'a dyno that runs once has ended, and its container is there',
  'app.created': 'an app that its maker was not told of',
  'app.renamed': 'the app has another name, and no router knows',
  'app.destroyed': 'an app that is to be erased, with all that it has',
  'erase.engine': 'an app that has nothing in the engine, and all its files',
  'erase.repository': 'an app that is to be erased, without its repository',
  'erase.transcripts': 'the same, without its output',
  'erase.cache': 'the same, without its cache',
  'erase.logs': 'the same, without its log',
  'erase.rows': 'the files of slugs of an app that is gone',
  'domain.added': 'a domain that no router knows',
  'domain.removed': 'a domain that only routers know',
  'certificate.replaced': 'routers serve a certificate that is no longer there',
  'builds.failed': 'builds that a crash broke off are failed, and what they left is there',
  'backup.captured': 'a snapshot in the data folder, and images are held, for a backup that nobody makes',
  'backup.written': 'a backup under a passing name',
  'builds.forgotten': 'builds without their output',
} as const

export type Failpoint = keyof typeof failpoints

/**
 * What happens there, for tests. `kill`: SIGKILL to this process, so nothing is finished or flushed. `error`: the step throws. `full`: it throws
 * what a full disk makes a write throw. `pause`: it waits until the test lets it go on, which meanwhile does what it likes to the rest of the world.
 */
export type Strike = 'kill' | 'error' | 'full' | 'pause'

let folder: string | undefined

/**
 * Has strikes read from a folder: one in the file `NAME` strikes once; `NAME.reached` is there while it waits; `passed` lists all. Bounds
 * that a test cannot wait for are in `limits.json` there. Throws when there is no such folder.
 */
export const armFailpoints = (from: string | undefined): void => {
  folder = undefined
  if (from === undefined) return
  if (!existsSync(from))
    throw new Error(`SLUICE_FAILPOINTS is "${from}", and there is no such folder. It is for tests: unset it.`)
  folder = from
  const shorter = join(from, 'limits.json')
  if (existsSync(shorter)) Object.assign(limits, JSON.parse(readFileSync(shorter, 'utf8')))
}

/** Costs nothing unless a test has armed it. */
export async function failpoint(name: Failpoint): Promise<void> {
  if (folder !== undefined) await reach(folder, name)
}

const LOOK = 10

async function reach(folder: string, name: Failpoint): Promise<void> {
  appendFileSync(join(folder, 'passed'), `${name}\n`)
  const [armed, reached] = [join(folder, name), join(folder, `${name}.reached`)]
  if (!existsSync(armed)) return
  const strike = readFileSync(armed, 'utf8') as Strike
  renameSync(armed, reached)
  switch (strike) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL')
      // The signal is delivered before anything else of this process runs.
      return
    case 'error':
      throw new Error(`Struck at ${name}.`)
    case 'full':
      throw Object.assign(new Error(`ENOSPC: no space left on device, at ${name}`), { code: 'ENOSPC' })
    case 'pause':
      while (existsSync(reached)) await setTimeout(LOOK)
      return
    default:
      strike satisfies never
  }
}
