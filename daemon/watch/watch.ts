import { within } from '../clock.ts'
import type { Daemon } from '../daemon.ts'
import { type FileSystem, fileSystems } from '../disk/report.ts'
import type { Firewall } from '../engine/firewall.ts'
import type { Boots } from '../run/boot.ts'
import { backupLook } from './backup.ts'
import { createCertificates } from './certificates.ts'
import { dnsLooks } from './dns.ts'
import { edgeLooks } from './edge.ts'
import { textOf } from './exposition.ts'
import { examine, type Finding } from './finding.ts'
import { createHealth, type Health } from './health.ts'
import { hostLooks } from './host.ts'
import { familiesOf } from './metrics.ts'
import { countLag } from './process.ts'
import { type Stock, takeStock } from './stock.ts'
import { workLooks } from './work.ts'

/** How the platform does, for operators and their tools. */
export interface Watch {
  /** Whether it can work: a look that many may share. */
  health(): Promise<Health>
  /** What there is now. */
  stock(): Promise<Stock>
  /** What there is and what was counted, in Prometheus' text format. */
  metrics(): Promise<string>
  /** All that can be looked at from within, thing by thing. Takes seconds at most. */
  doctor(): Promise<Finding[]>
}

interface Parts {
  boots: Pick<Boots, 'state'>
  firewall: Pick<Firewall, 'state'>
  /** Every app was looked at once since the start. */
  reconciled(): boolean
}

/** `daemon` is asked for when there is one. */
export function createWatch(daemon: () => Daemon, { boots, firewall, reconciled }: Parts): Watch {
  countLag()
  const certificates = createCertificates()
  const systems = createSystems()
  const stock = async (): Promise<Stock> => takeStock(daemon(), { boots, certificates, systems })
  return {
    health: createHealth(daemon, reconciled),
    stock,
    metrics: async () => textOf(familiesOf(await stock())),
    async doctor() {
      const d = daemon()
      const edge = edgeLooks(d, { firewall, certificates })
      return examine([...hostLooks(d), ...edge, ...dnsLooks(d), ...workLooks(d), backupLook(d)])
    },
  }
}

/** An engine that hangs is not waited for: what was seen last counts then. */
const PATIENCE = 1000

function createSystems(): (d: Daemon) => Promise<FileSystem[]> {
  let last: FileSystem[] = []
  let looking: Promise<void> | undefined
  return async (d) => {
    looking ??= fileSystems(d)
      .then((found) => {
        last = found
      })
      .finally(() => {
        looking = undefined
      })
    await within(d.clock, PATIENCE, looking)
    return last
  }
}
