import 'reflect-metadata'
import { createHash, webcrypto } from 'node:crypto'
import { join } from 'node:path'
import { X509Certificate } from '@peculiar/x509'
import { ALGORITHM, type Certificate, issueLeaf, openAuthority } from './certificate.ts'
import type { Pair } from './chain.ts'

/** Issues certificates of one name: under the platform's authority, all with the key of the platform's own. */
export interface Issuer {
  /** Another one when authority or key are. */
  readonly generation: string
  /** The site's certificate alone: who trusts the authority has it. Good for 397 days. `now`: ms since the epoch. */
  issue(host: string, now: number): Promise<Pair>
}

/** After `ensureCertificates`, whose certificate this is. */
export async function openIssuer(data: string, { key, cert }: Certificate): Promise<Issuer> {
  const authority = await openAuthority(join(data, 'tls'))
  const publicKey = await new X509Certificate(cert).publicKey.export(ALGORITHM, ['verify'], webcrypto)
  const generation = createHash('sha256')
    .update(new Uint8Array(await webcrypto.subtle.exportKey('spki', publicKey)))
    .update(new Uint8Array(authority.certificate.rawData))
  return {
    generation: generation.digest('hex').slice(0, 8),
    async issue(host, now) {
      const certificate = await issueLeaf(publicKey, authority, [host], new Date(now))
      return { key, chain: `${certificate.toString('pem')}\n` }
    },
  }
}
