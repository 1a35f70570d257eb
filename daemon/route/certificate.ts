import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { generateKey } from '../acme/key.ts'
import { hostsOf, type Names } from '../names.ts'

/** PEM texts for a TLS listener. */
export interface Certificate {
  key: string
  cert: string
}

export interface Place {
  data: string
  domain: string
  api: { hosts: string[] }
  names?: Names | undefined
}

export const DAY = 24 * 3600 * 1000
const RENEW_BEFORE = 30 * DAY
/** An authority is renewed while it outlives each certificate that it signs, so that clients have more than a year to take the new one. */
const RENEW_AUTHORITY_BEFORE = 430 * DAY
const AUTHORITY = 'CN=Sluice local authority'

/**
 * The platform's own authority (clients are told to trust `tls/ca.pem`) and a certificate for API and router, good for 397 days and renewed
 * when less than 30 are left or a name is missing. Both keep their keys, so that who trusts the authority from before trusts what is signed
 * from now on. Files appear whole or not at all; keys are readable by their owner only. `now`: ms since the epoch.
 */
export async function ensureCertificates(place: Place, now = Date.now()): Promise<Certificate> {
  const folder = join(place.data, 'tls')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const authority = await ensureAuthority(folder, now)
  const names = namesOf(place)
  const found = await readPair(folder, 'key.pem', 'cert.pem')
  const old = found && isFrom(authority, found) ? found : undefined
  if (old && usable(old, names, now)) return old
  const key = old?.key ?? generateKey()
  const { openSigner } = await import('./signer.ts')
  const leaf = await (await openSigner(authority)).leaf(createPublicKey(key), names, now)
  const pair = { key, cert: `${leaf}${authority.cert}` }
  if (!old) await write(folder, 'key.pem', pair.key)
  await write(folder, 'cert.pem', pair.cert)
  return pair
}

const namesOf = ({ domain, api, names }: Place): string[] => [
  ...new Set([
    'localhost',
    // Node.js believes no wildcard of a top-level domain; the CLI asks for these when HEROKU_HOST is no URL.
    ...['*', 'api', 'registry'].map((label) => `${label}.localhost`),
    '127.0.0.1',
    '::1',
    domain,
    `*.${domain}`,
    ...api.hosts,
    ...hostsOf(names),
  ]),
]

/** Made when there is none. One that somebody has put there in place of ours is not ours to renew. */
async function ensureAuthority(folder: string, now: number): Promise<Certificate> {
  const old = await readAuthority(folder)
  const lasts = old && holds(new X509Certificate(old.cert), now, RENEW_AUTHORITY_BEFORE)
  if (old && (lasts || new X509Certificate(old.cert).subject !== AUTHORITY)) return old
  const key = old?.key ?? generateKey()
  const { signAuthority } = await import('./signer.ts')
  const cert = await signAuthority(AUTHORITY, key, now)
  if (!old) await write(folder, 'ca.key', key)
  await write(folder, 'ca.pem', cert)
  return { key, cert }
}

export const readAuthority = (folder: string): Promise<Certificate | undefined> => readPair(folder, 'ca.key', 'ca.pem')

function isFrom(authority: Certificate, { cert }: Certificate): boolean {
  const [leaf, ca] = [new X509Certificate(cert), new X509Certificate(authority.cert)]
  return leaf.checkIssued(ca) && leaf.verify(ca.publicKey)
}

function usable({ cert }: Certificate, names: string[], now: number): boolean {
  const leaf = new X509Certificate(cert)
  const has = new Set(leaf.subjectAltName?.split(', '))
  return (
    holds(leaf, now, RENEW_BEFORE) &&
    names.every((name) => (isIP(name) ? leaf.checkIP(name) !== undefined : has.has(`DNS:${name}`)))
  )
}

/** And for so long. One that does not hold yet was made while the clock was ahead. */
const holds = ({ validFrom, validTo }: X509Certificate, now: number, spare: number): boolean =>
  Date.parse(validFrom) <= now && Date.parse(validTo) - now > spare

/** Undefined also for a pair that a crash has left with the key of one and the certificate of another. */
async function readPair(folder: string, key: string, cert: string): Promise<Certificate | undefined> {
  try {
    const pair = { key: await readFile(join(folder, key), 'utf8'), cert: await readFile(join(folder, cert), 'utf8') }
    return new X509Certificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key)) ? pair : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return undefined
  }
}

async function write(folder: string, name: string, text: string): Promise<void> {
  await writeFile(join(folder, `${name}.new`), text, { mode: 0o600, flush: true })
  await rename(join(folder, `${name}.new`), join(folder, name))
}
