import 'reflect-metadata'
import { createPrivateKey, X509Certificate as NodeCertificate, randomUUID, webcrypto } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { hostsOf, type Names } from '../names.ts'

/** PEM texts for a TLS listener. */
export interface Certificate {
  key: string
  cert: string
}

export const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
export const DAY = 24 * 3600 * 1000
const AUTHORITY_LIFE = 3650 * DAY
export const LEAF_LIFE = 397 * DAY
const RENEW_BEFORE = 30 * DAY

type Keys = webcrypto.CryptoKeyPair

/**
 * The platform's own authority (made once; clients are told to trust `tls/ca.pem`) and a certificate for API and router, renewed at
 * start when less than 30 days are left or a name is missing. Files appear whole or not at all; keys are readable by their owner only.
 */
export async function ensureCertificates(config: {
  data: string
  domain: string
  api: { hosts: string[] }
  names?: Names | undefined
}): Promise<Certificate> {
  const folder = join(config.data, 'tls')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const ca = await openAuthority(folder)
  const names = [
    ...new Set([
      'localhost',
      // Node.js believes no wildcard of a top-level domain; the CLI asks for these when HEROKU_HOST is no URL.
      ...['*', 'api', 'registry'].map((label) => `${label}.localhost`),
      '127.0.0.1',
      '::1',
      config.domain,
      `*.${config.domain}`,
      ...config.api.hosts,
      ...hostsOf(config.names),
    ]),
  ]
  const now = new Date()
  const old = await readPair(folder, 'key.pem', 'cert.pem')
  if (old && usable(old.cert, ca.certificate, names, now)) return old
  const keys = await generateKeys()
  const certificate = await issueLeaf(keys.publicKey, ca, names, now)
  const pair = {
    key: await privatePem(keys),
    cert: `${certificate.toString('pem')}\n${ca.certificate.toString('pem')}\n`,
  }
  await writePair(folder, { 'key.pem': pair.key, 'cert.pem': pair.cert })
  return pair
}

export interface Authority {
  key: webcrypto.CryptoKey
  certificate: X509Certificate
}

/** The platform's own authority, made when there is none. */
export async function openAuthority(folder: string): Promise<Authority> {
  const old = await readPair(folder, 'ca.key', 'ca.pem')
  if (old) {
    const der = PemConverter.decodeFirst(old.key)
    const key = await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign'])
    return { key, certificate: new X509Certificate(old.cert) }
  }
  const keys = await generateKeys()
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial(),
      name: 'CN=Sluice local authority',
      notBefore: new Date(Date.now() - DAY),
      notAfter: new Date(Date.now() + AUTHORITY_LIFE),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  )
  await writePair(folder, { 'ca.key': await privatePem(keys), 'ca.pem': `${certificate.toString('pem')}\n` })
  return { key: keys.privateKey, certificate }
}

/** For TLS servers of these names; good for 397 days. */
export const issueLeaf = (
  publicKey: webcrypto.CryptoKey,
  ca: Authority,
  names: string[],
  now: Date,
): Promise<X509Certificate> =>
  X509CertificateGenerator.create(
    {
      serialNumber: serial(),
      subject: 'CN=Sluice',
      issuer: ca.certificate.subject,
      notBefore: new Date(now.getTime() - DAY),
      notAfter: new Date(now.getTime() + LEAF_LIFE),
      signingAlgorithm: ALGORITHM,
      signingKey: ca.key,
      publicKey,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension(
          names.map((value): JsonGeneralName => (isIP(value) ? { type: 'ip', value } : { type: 'dns', value })),
        ),
      ],
    },
    webcrypto,
  )

function usable(pem: string, ca: X509Certificate, names: string[], now: Date): boolean {
  const certificate = new X509Certificate(pem)
  const has =
    certificate
      .getExtension(SubjectAlternativeNameExtension)
      ?.names.toJSON()
      .map(({ value }) => value) ?? []
  return (
    certificate.issuer === ca.subject &&
    certificate.notAfter.getTime() - now.getTime() > RENEW_BEFORE &&
    names.every((name) => has.includes(name))
  )
}

const generateKeys = async (): Promise<Keys> =>
  (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as Keys

const privatePem = async (keys: Keys): Promise<string> =>
  `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')}\n`

/** Positive and at most 20 bytes (RFC 5280 4.1.2.2). */
const serial = (): string => `01${randomUUID().replaceAll('-', '')}`

/** Undefined also for a pair that a crash has left with the key of one and the certificate of another. */
async function readPair(folder: string, key: string, cert: string): Promise<Certificate | undefined> {
  try {
    const pair = { key: await readFile(join(folder, key), 'utf8'), cert: await readFile(join(folder, cert), 'utf8') }
    return new NodeCertificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key)) ? pair : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return undefined
  }
}

async function writePair(folder: string, files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, `${name}.new`), text, { mode: 0o600, flush: true })
    await rename(join(folder, `${name}.new`), join(folder, name))
  }
}
