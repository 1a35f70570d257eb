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
import { createDynoLogs } from './logs.ts'
import { createNetworks } from './network.ts'
import type { Site } from './spec.ts'

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
  const ends = createEnds()

  let known: Site | undefined
  const site = async (): Promise<Site> => {
    if (known) return known
    const { NCPU, ServerVersion, CgroupVersion } = await engine.ask('describe itself', (docker) => docker.info())
    const cgroup = CgroupVersion === '2' ? 2 : 1
    log.info('engine', { version: ServerVersion, cores: NCPU, cgroup })
    known = { installation, data, caBundle, cores: NCPU, cgroup }
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
    logs: logs.follow,
    build: (spec, signal) => runBuild(parts, spec, signal),
    images,
    async sweepBuilds() {
      await images.sweep()
      await removeBuilds(parts)
      await dynos.sweep()
    },
    removeApp: dynos.eraseApp,
    ping: async () => void (await engine.ask('answer', (docker) => docker.ping(), PING)),
  }
}
