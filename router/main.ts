import { readConfig } from './config.ts'
import { limits } from './limits.ts'
import { Master } from './master.ts'
import { Predecessor, SUCCEED } from './succession.ts'
import { keepWatchdog, tellSystemd } from './systemd.ts'

/**
 * The router: doors and the last table from disk, then workers, then the daemon.
 *
 *   starting --workers serve--> serving --SIGTERM, SIGINT--> leaving --last connection gone, 30 s--> exit 0
 *   starting --cannot--> exit 1, one sentence                serving --SIGUSR2--> a successor is started
 *   starting --SIGTERM, SIGINT--> exit 0
 *   serving --it serves--> succeeded --last connection gone, bounds--> exit 0
 */
async function main(): Promise<void> {
  const signals = heed()
  const config = readConfig()
  const master = await Master.open(config, warn)
  const predecessor = process.argv[2] === SUCCEED ? new Predecessor() : undefined
  if (predecessor) await master.succeed(predecessor)
  else await master.serve()
  const ended = signals.ended()
  process.stderr.write(`<6>router listens on ${placesOf(master).join(', ')}\n`)
  void tellSystemd(config, 'READY=1', `MAINPID=${process.pid}`).then(() => predecessor?.tell({ kind: 'settled' }))
  keepWatchdog(config, () => !master.succeeded)
  await master.dial()
  signals.handOver(() => master.handOver().then((over) => over && process.exit(0)))
  await ended
  void tellSystemd(config, 'STOPPING=1')
  const idle = config.inherited === undefined ? 0 : limits.shutdownIdle
  await master.close({ idle, requests: limits.shutdown, tunnels: limits.shutdown })
}

const placesOf = ({ doors }: Master): string[] =>
  doors.filter(({ name }) => name === 'http').map(({ host, port }) => `${host} port ${port}`)

/**
 * What we are told from outside, from the first moment on: unheard, each of these signals would end us. Before we serve, the end comes at
 * once; a successor is started when we can pass on what we have. A router that has been succeeded exits by itself.
 */
function heed() {
  let end = (): void => process.exit(0)
  let early = false
  let succeed = (): void => {
    early = true
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end())
  process.on('SIGUSR2', () => succeed())
  return {
    /** Resolves when we were told to end. */
    ended: (): Promise<void> =>
      new Promise((resolve) => {
        end = resolve
      }),
    handOver(begin: () => Promise<unknown>): void {
      succeed = () => void begin().catch(fail)
      if (early) succeed()
    },
  }
}

const warn = (sentence: string): void => {
  process.stderr.write(`<4>${sentence}\n`)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const fail = (error: unknown): never => {
  process.stderr.write(`<3>${messageOf(error)}\n`)
  process.exit(1)
}

main().then(() => process.exit(0), fail)
