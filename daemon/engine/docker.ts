import type { Log } from '../log.ts'
import { createAttached } from './attached.ts'
import { removeBuilds, runBuild } from './build.ts'
import { connect } from './connection.ts'
import { createDynos } from './dyno.ts'
import { createEnds } from './ends.ts'
import type { Engine } from './engine.ts'
import { watchEvents } from './events.ts'
import { runExec } from './exec.ts'
import { createImages } from './images.ts'
import { listenersOf } from './listen.ts'
import { createDynoLogs } from './logs.ts'
import { createNetworks } from './network.ts'
import { listOwners, removeBuild } from './owners.ts'
import { nameOf, type Site } from './spec.ts'
import { memoryUsed } from './usage.ts'

export interface DockerOptions {
  /** Path of the engine's unix socket. */
  socket: string
  /** Tells this installation's containers from those of others on the same engine. */
  installation: string
  /** Absolute path; private layers of dynos are made below it, and slugs must be on the same host. */
  data: string
  caBundle?: string | undefined
  log: Log
}

const PING = 5000

/** The engine on one machine: Docker behind a unix socket. */
export function createDockerEngine({ socket, installation, data, caBundle, log }: DockerOptions): Engine {
  const engine = connect(socket)
  const networks = createNetworks(engine, installation)
  const logs = createDynoLogs(engine, installation)

  let known: Site | undefined
  const ends = createEnds(() => known?.tellsMemory ?? true)
  const site = async (): Promise<Site> => {
    if (known) return known
    const { NCPU, ServerVersion, CgroupVersion, OomKillDisable } = await engine.ask('describe itself', (docker) =>
      docker.info(),
    )
    const cgroup = CgroupVersion === '2' ? 2 : 1
    // With v1 the engine listens at the file that this option is written to.
    const tellsMemory = cgroup === 2 || OomKillDisable
    log.info('engine', { version: ServerVersion, cores: NCPU, cgroup, tellsMemory })
    known = { installation, data, caBundle, cores: NCPU, cgroup, tellsMemory }
    return known
  }

  const parts = { engine, site, networks, logs, ends, attached: createAttached() }
  const dynos = createDynos(parts)
  const images = createImages(parts)
  return {
    start: dynos.start,
    stop: dynos.stop,
    attach: dynos.attach,
    exec: (spec, signal) => runExec(parts, spec, signal),
    list: dynos.list,
    watch: (signal) => watchEvents(engine, installation, ends, signal),
    listens: async (id) => listenersOf(engine, nameOf((await site()).installation, id)),
    memoryUsed: async (id) => memoryUsed(engine, nameOf((await site()).installation, id)),
    logs: logs.follow,
    build: (spec, signal) => runBuild(parts, spec, signal),
    images,
    async sweepBuilds() {
      await images.sweep()
      await removeBuilds(parts)
      await dynos.sweep()
    },
    owners: () => listOwners({ ...parts, images }),
    written: dynos.written,
    removeBuild: (build) => removeBuild({ ...parts, images }, build),
    removeApp: dynos.eraseApp,
    version: async () => (await engine.ask('tell its version', (docker) => docker.version(), PING)).Version,
    ping: async () => void (await engine.ask('answer', (docker) => docker.ping(), PING)),
  }
}
