import 'reflect-metadata'
import { randomUUID, webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** A certificate of the test's own, with its key. */
export interface Made {
  /** PEM, this one only. */
  cert: string
  key: string
  certificate: X509Certificate
  keys: webcrypto.CryptoKeyPair
}

const DAY = 24 * 3600 * 1000
export const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
export const ED25519 = { name: 'Ed25519' }
export const rsa = (modulusLength: number) => ({
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  publicExponent: new Uint8Array([1, 0, 1]),
  modulusLength,
})

interface Wish {
  names?: string[]
  subject?: string
  issuer?: Made
  authority?: boolean
  algorithm?: object
  /** From now. */
  days?: number
  /** Says by which key it is signed, as public authorities do. */
  signer?: boolean
}

/** Self-signed without `issuer`. */
export async function make({
  names = [],
  subject,
  issuer,
  authority = false,
  algorithm = EC,
  days = 30,
  signer = false,
}: Wish): Promise<Made> {
  const generated: unknown = await webcrypto.subtle.generateKey(algorithm as never, true, ['sign', 'verify'])
  const keys = generated as webcrypto.CryptoKeyPair
  const own = subject ?? `CN=${names[0] ?? 'test'}`
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: `01${randomUUID().replaceAll('-', '')}`,
      subject: own,
      issuer: issuer?.certificate.subject ?? own,
      notBefore: new Date(Date.now() - 2 * DAY),
      notAfter: new Date(Date.now() + days * DAY),
      signingAlgorithm: (issuer ? EC : algorithm) as never,
      signingKey: issuer?.keys.privateKey ?? keys.privateKey,
      publicKey: keys.publicKey,
      extensions: [
        new BasicConstraintsExtension(authority, undefined, true),
        ...(signer ? [await AuthorityKeyIdentifierExtension.create(keys.publicKey, false, webcrypto)] : []),
        ...(names.length > 0
          ? [new SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns' as const, value })))]
          : []),
      ],
    },
    webcrypto,
  )
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return {
    cert: `${certificate.toString('pem')}\n`,
    key: `${PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
    certificate,
    keys,
  }
}
