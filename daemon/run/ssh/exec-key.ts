import { createHash, createPublicKey, randomBytes, timingSafeEqual } from 'node:crypto'
import ssh2, { type AuthContext, type ParsedKey } from 'ssh2'
import type { Clock } from '../../clock.ts'
import { invalid } from '../../errors.ts'
import { limits } from '../../limits.ts'

/** Whom a key lets in, and to which dyno. */
export interface Access {
  app: string
  dyno: { id: string; name: string; address: string | null }
  /** As in an authorized_keys file. */
  key: string
  /** Whether its owner may still see the app; asked at every connection. */
  permitted(): Promise<boolean>
}

/** Keys of clients of ps:exec, in memory: each opens one dyno, under a user name of its own, for `limits.execKey` ms. */
export interface ExecKeys {
  /** Returns the user name. Throws UserError for a key that will not do. */
  add(access: Access): string
  /** Whether a user name is good now. */
  knows(user: string): boolean
  /** The access that a client has proved to have, or asks whether it is worth proving. */
  match(attempt: AuthContext): Promise<Access | undefined>
}

const KINDS = ['ssh-rsa', 'ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521']
const SHORTEST_RSA = 2048

export function createExecKeys(clock: Clock): ExecKeys {
  const known = new Map<string, { access: Access; key: ParsedKey; until: number }>()
  const forgetOld = (app: string) => {
    for (const [user, { until }] of known) if (until <= clock.now()) known.delete(user)
    const ofApp = [...known].filter(([, { access }]) => access.app === app)
    for (const [user] of ofApp.slice(0, Math.max(0, ofApp.length + 1 - limits.execKeysPerApp))) known.delete(user)
  }
  return {
    add(access) {
      const key = parse(access.key)
      forgetOld(access.app)
      const user = `${access.dyno.name.replace(/[^a-zA-Z0-9]/g, '')}-${randomBytes(8).toString('hex')}`
      known.set(user, { access, key, until: clock.now() + limits.execKey })
      return user
    },
    knows: (user) => (known.get(user)?.until ?? 0) > clock.now(),
    async match(attempt) {
      const found = known.get(attempt.username)
      if (!found || found.until <= clock.now() || attempt.method !== 'publickey') return undefined
      const { key, access } = found
      if (!timingSafeEqual(digest(key.getPublicSSH()), digest(attempt.key.data))) return undefined
      // with RSA, no name of a hash means SHA-1
      if (key.type === 'ssh-rsa' && attempt.hashAlgo === undefined) return undefined
      const { signature, blob, hashAlgo } = attempt
      if (signature && (!blob || key.verify(blob, signature, hashAlgo) !== true)) return undefined
      return (await access.permitted()) ? access : undefined
    },
  }
}

const digest = (data: Buffer): Buffer => createHash('sha256').update(data).digest()

function parse(text: string): ParsedKey {
  const key = ssh2.utils.parseKey(text)
  if (key instanceof Error || key.isPrivateKey() || !KINDS.includes(key.type))
    throw invalid('Send `client_key` as an OpenSSH public key of type RSA, ECDSA or Ed25519.')
  const length = lengthOf(key)
  if (length === undefined) throw invalid('`client_key` is not a valid public key. Make another one.')
  if (key.type === 'ssh-rsa' && length < SHORTEST_RSA)
    throw invalid(`An RSA key must have at least ${SHORTEST_RSA} bits. Make a longer one.`)
  return key
}

/** Bits of an RSA key, 0 of others; undefined for numbers that are no key. */
function lengthOf(key: ParsedKey): number | undefined {
  try {
    return createPublicKey(key.getPublicPEM()).asymmetricKeyDetails?.modulusLength ?? 0
  } catch {
    return undefined
  }
}
