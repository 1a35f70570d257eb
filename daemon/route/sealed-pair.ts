import { randomUUID } from 'node:crypto'
import type { Daemon } from '../daemon.ts'
import { messageOf } from '../errors.ts'
import type { Pair } from './chain.ts'

/** A certificate in a row: the key is sealed with its id, which no other has had, and under which it never changes. */
export interface SealedPair {
  certificate_id: string
  certificate_chain: string
  private_key: string
}

export function sealPair({ seal }: Pick<Daemon, 'seal'>, { chain, key }: Pair): SealedPair {
  const certificate_id = randomUUID()
  return { certificate_id, certificate_chain: chain, private_key: seal.seal(key, certificate_id) }
}

/** What routers need to serve these certificates. One that is gone, or that does not open, is not among them. `read`: their rows. */
export async function openPairs(
  { seal, log }: Pick<Daemon, 'seal' | 'log'>,
  certificates: readonly string[],
  read: (some: readonly string[]) => Promise<{ [name in keyof SealedPair]: string | null }[]>,
): Promise<Map<string, Pair>> {
  const pairs = new Map<string, Pair>()
  for (let from = 0; from < certificates.length; from += PARAMETERS)
    for (const { certificate_id: id, certificate_chain: chain, private_key } of await read(
      certificates.slice(from, from + PARAMETERS),
    ))
      try {
        if (id !== null) pairs.set(id, { chain: chain ?? '', key: seal.open(private_key ?? '', id) })
      } catch (error) {
        log.error('the key of a certificate cannot be opened', { certificate: id, error: messageOf(error) })
      }
  return pairs
}

/** Of one query. */
export const PARAMETERS = 500
