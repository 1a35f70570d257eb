import { createHash, createPublicKey } from 'node:crypto'
import { join } from 'node:path'
import { type Certificate, readAuthority } from './certificate.ts'
import type { Pair } from './chain.ts'
import type { Signer } from './signer.ts'

/** Issues certificates of one name: under the platform's authority, all with the key of the platform's own. */
export interface Issuer {
  /** Another one when the key of either is. */
  readonly generation: string
  /** The site's certificate alone: who trusts the authority has it. Good for 397 days. `now`: ms since the epoch. */
  issue(host: string, now: number): Promise<Pair>
}

/** After `ensureCertificates`, which gave this. It stays good when that is renewed. */
export async function openIssuer(data: string, { key }: Certificate): Promise<Issuer> {
  const authority = await readAuthority(join(data, 'tls'))
  if (!authority) throw new Error(`There is no authority in ${join(data, 'tls')}.`)
  const publicKey = createPublicKey(key)
  const generation = createHash('sha256')
  for (const one of [publicKey, createPublicKey(authority.key)])
    generation.update(one.export({ type: 'spki', format: 'der' }))
  let signer: Promise<Signer> | undefined
  return {
    generation: generation.digest('hex').slice(0, 8),
    async issue(host, now) {
      signer ??= import('./signer.ts').then(({ openSigner }) => openSigner(authority))
      return { key, chain: await (await signer).leaf(publicKey, [host], now) }
    },
  }
}
