import { X509Certificate } from 'node:crypto'
import type { Daemon } from '../daemon.ts'
import { shareWithRouter } from '../data-folder.ts'
import { type Certificate, ensureCertificates } from './certificate.ts'

/** The certificate that API and routers serve for the platform's names, and for all that have none. */
export interface OwnCertificate {
  readonly served: Certificate
  /** Looks whether it is to be renewed, and has the API and the routers serve the new one from the next handshake on. Safe to repeat. */
  renew(serve: (certificate: Certificate) => void): Promise<void>
}

export async function openOwnCertificate(
  d: Pick<Daemon, 'config' | 'clock' | 'log' | 'routers'>,
): Promise<OwnCertificate> {
  const { data } = d.config
  const look = async (): Promise<Certificate> => {
    const found = await ensureCertificates(d.config, d.clock.now())
    await shareWithRouter(data)
    return found
  }
  let served = await look()
  return {
    get served() {
      return served
    },
    async renew(serve) {
      const found = await look()
      if (found.cert === served.cert) return
      serve(found)
      await d.routers.repeat()
      served = found
      d.log.info("the platform's certificate was renewed", { until: new X509Certificate(found.cert).validTo })
    },
  }
}
