import type { Log } from '../log.ts'
import { remove, runBuild } from './build.ts'
import { connect } from './connection.ts'
import { createGate, type Host, listDynos, startDyno, stopDyno } from './dyno.ts'
import type { Engine, LogChunk } from './engine.ts'
import { removeNetworks } from './network.ts'
import { LABEL } from './spec.ts'
import { readLogs, watchEvents } from './stream.ts'

export interface DockerOptions {
  socket: string
  /** Tells this installation's containers from those of others on the same engine. */
  installation: string
  data: string
  caBundle: string | undefined
  log: Log
}

const PING = 5000
/** How long a stop waits for those who read the dyno's last output. */
const LAST_WORDS = 2000

/** One Docker engine on this machine. */
export function createDockerEngine({ socket, installation, data, caBundle }: DockerOptions): Engine {
  const engine = connect(socket)
  const around = { installation, caBundle }
  const host: Host = { engine, around, data }
  const gate = createGate()
  const readers = new Map<string, Set<Promise<void>>>()

  const read = async (id: string): Promise<void> => {
    const open = [...(readers.get(id) ?? [])]
    if (open.length === 0) return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_WORDS)
    })
    await Promise.race([Promise.all(open), late])
    clearTimeout(timer)
  }

  async function* logs(id: string, since: number, signal: AbortSignal): AsyncGenerator<LogChunk> {
    let done = () => {}
    const reading = new Promise<void>((resolve) => {
      done = resolve
    })
    const open = readers.get(id) ?? new Set()
    readers.set(id, open.add(reading))
    try {
      yield* readLogs(engine, { id, since }, signal)
    } finally {
      done()
      open.delete(reading)
      if (open.size === 0) readers.delete(id)
    }
  }

  return {
    start: (spec, signal) => gate(() => startDyno(host, spec, signal)),
    stop: (id, grace) => stopDyno(host, id, grace, () => read(id)),
    list: () => listDynos(host),
    watch: (signal) => watchEvents(engine, installation, signal),
    logs,
    build: (spec, signal) => runBuild(engine, around, spec, signal),
    async sweepBuilds() {
      const filters = { label: [`${LABEL.installation}=${installation}`, `${LABEL.kind}=build`] }
      const left = await engine.ask('list containers', (docker) => docker.listContainers({ all: true, filters }))
      for (const { Id } of left) await remove(engine, { id: Id })
    },
    removeApp: (app) => removeNetworks(engine, installation, app),
    ping: () => engine.ask('answer', (docker) => docker.ping(), PING).then(() => undefined),
  }
}
