import 'reflect-metadata'
import { createPrivateKey, createPublicKey, type KeyObject, randomUUID, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import type { Certificate } from './certificate.ts'

/** Certificates as PEM texts. Loading this takes a tenth of a second, so it is loaded when one is to be made. */
export interface Signer {
  /** For TLS servers of these names, for 397 days. `now`: ms since the epoch. */
  leaf(publicKey: KeyObject, names: string[], now: number): Promise<string>
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY = 24 * 3600 * 1000
const AUTHORITY_LIFE = 3650 * DAY
const LEAF_LIFE = 397 * DAY

/** An authority with this key (PEM) that signs itself, for ten years. */
export async function signAuthority(name: string, pem: string, now: number): Promise<string> {
  const key = createPrivateKey(pem)
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      ...frame(now, AUTHORITY_LIFE),
      name,
      keys: { privateKey: await importPrivate(key), publicKey: await importPublic(createPublicKey(key)) },
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  )
  return `${certificate.toString('pem')}\n`
}

/** Signs with the key of an authority. */
export async function openSigner(authority: Certificate): Promise<Signer> {
  const signingKey = await importPrivate(createPrivateKey(authority.key))
  const issuer = new X509Certificate(authority.cert).subject
  return {
    async leaf(publicKey, names, now) {
      const certificate = await X509CertificateGenerator.create(
        {
          ...frame(now, LEAF_LIFE),
          subject: 'CN=Sluice',
          issuer,
          signingKey,
          publicKey: await importPublic(publicKey),
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
      return `${certificate.toString('pem')}\n`
    },
  }
}

const frame = (now: number, life: number) => ({
  // Positive and at most 20 bytes (RFC 5280 4.1.2.2).
  serialNumber: `01${randomUUID().replaceAll('-', '')}`,
  notBefore: new Date(now - DAY),
  notAfter: new Date(now + life),
  signingAlgorithm: ALGORITHM,
})

const importPrivate = (key: KeyObject): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), ALGORITHM, false, ['sign'])

const importPublic = (key: KeyObject): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey('spki', key.export({ type: 'spki', format: 'der' }), ALGORITHM, true, ['verify'])
