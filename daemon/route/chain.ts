import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext, rootCertificates } from 'node:tls'
import { invalid, messageOf, type UserError } from '../errors.ts'
import { limits } from '../limits.ts'

/** What a TLS server needs, as PEM: the site's own certificate first, each followed by that of its issuer. */
export interface Pair {
  chain: string
  key: string
}

/** What the API tells of a certificate. */
export interface Details {
  cert_domains: string[]
  issuer: string
  subject: string
  starts_at: number
  expires_at: number
  /** Whether browsers trust it, as far as the chain and the authorities that Node.js knows tell. */
  'ca_signed?': boolean
  'self_signed?': boolean
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g
const KEY = /-----BEGIN (?:(?:RSA|EC) )?PRIVATE KEY-----[^-]+-----END (?:(?:RSA|EC) )?PRIVATE KEY-----/
const CURVES = ['prime256v1', 'secp384r1', 'secp521r1']
const LEAST_RSA = 2048
/** What authorities sign; a longer key costs the routers, who serve everybody, too much at each handshake. */
const MOST_RSA = 4096

/**
 * Checks that a TLS server can use the two, and puts the chain in order. What else the texts hold is left out. Throws UserError; no word
 * of the key is repeated.
 */
export function parsePair(chainText: string, keyText: string, now: number): Pair {
  const key = parseKey(keyText)
  const chain = inOrder(parseCertificates(chainText), key)
  for (const certificate of chain)
    if (Date.parse(certificate.validTo) <= now)
      throw invalid(
        `The certificate of ${named(certificate.subject)} has expired on ${certificate.validTo}. Have it renewed first.`,
      )
  const pair = {
    chain: chain.map(String).join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
  try {
    createSecureContext({ cert: pair.chain, key: pair.key })
  } catch (error) {
    throw invalid(`OpenSSL cannot serve this certificate: ${messageOf(error)}`)
  }
  return pair
}

function parseKey(text: string): KeyObject {
  if (text.length > limits.privateKey) throw invalid(`The private key may have ${limits.privateKey / 1024} KB.`)
  if (/ENCRYPTED/.test(text))
    throw invalid('The private key is encrypted. Take the passphrase off first: openssl pkey -in KEY -out PLAIN_KEY.')
  const [pem] = KEY.exec(text) ?? []
  if (pem === undefined)
    throw invalid('No private key given: send a PEM text that begins with -----BEGIN PRIVATE KEY-----.')
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    throw invalid('The private key cannot be read: its PEM text is damaged.')
  }
  const weakness = weaknessOf(key)
  if (weakness) throw invalid(`The private key ${weakness}.`)
  return key
}

function weaknessOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string | undefined {
  if (type === 'ed25519') return undefined
  if (type === 'rsa' || type === 'rsa-pss') {
    const bits = details?.modulusLength ?? 0
    if (bits > MOST_RSA) return `is RSA with ${bits} bits, of which there may be ${MOST_RSA}`
    return bits < LEAST_RSA ? `is RSA with ${bits} bits, which browsers do not take` : undefined
  }
  if (type !== 'ec') return `is of type ${type}, which browsers do not take`
  const curve = details?.namedCurve ?? ''
  return CURVES.includes(curve) ? undefined : `is on the curve ${curve}, which browsers do not take`
}

function parseCertificates(text: string): X509Certificate[] {
  if (text.length > limits.certificateChain)
    throw invalid(`The certificate chain may have ${limits.certificateChain / 1024} KB.`)
  const pems = text.match(CERTIFICATE) ?? []
  if (pems.length === 0)
    throw invalid('No certificate given: send a PEM text that begins with -----BEGIN CERTIFICATE-----.')
  if (pems.length > limits.certificatesInChain)
    throw invalid(`A chain may have ${limits.certificatesInChain} certificates, not ${pems.length}.`)
  return pems.map((pem) => {
    try {
      return new X509Certificate(pem)
    } catch {
      throw invalid('A certificate cannot be read: its PEM text is damaged.')
    }
  })
}

/** The one that is the key's, then who has signed whom. What belongs to another chain is a mistake of whoever sends it. */
function inOrder(certificates: X509Certificate[], key: KeyObject): X509Certificate[] {
  const left = new Map(certificates.map((certificate) => [certificate.fingerprint256, certificate]))
  const chain: X509Certificate[] = []
  let next = certificates.find((certificate) => certificate.checkPrivateKey(key))
  if (!next) throw invalid("Key doesn't match the PEM certificate.")
  while (next) {
    const last: X509Certificate = next
    chain.push(last)
    left.delete(last.fingerprint256)
    next = [...left.values()].find((issuer) => isIssuer(issuer, last))
  }
  const [stray] = left.values()
  if (stray) throw strayed(stray)
  return chain
}

const strayed = ({ subject }: X509Certificate): UserError =>
  invalid(
    `The certificate of ${named(subject)} does not belong to the chain: it has not signed any of the others. Send the site's own certificate and those of its issuers.`,
  )

const isIssuer = (issuer: X509Certificate, of: X509Certificate): boolean =>
  of.checkIssued(issuer) && of.verify(issuer.publicKey)

/** Of a chain that `parsePair` has made. */
export function describe(chain: string): Details {
  const certificates = (chain.match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem))
  const [site, last] = [certificates[0], certificates.at(-1)]
  if (!site || !last) throw new Error('a stored chain has no certificate')
  return {
    cert_domains: namesOf(site),
    issuer: named(site.issuer),
    subject: named(site.subject),
    starts_at: Date.parse(site.validFrom),
    expires_at: Date.parse(site.validTo),
    'ca_signed?': isTrusted(last),
    'self_signed?': isIssuer(site, site),
  }
}

/** Whether clients that ask for this host accept one of the names (RFC 6125). */
export const covers = ({ cert_domains }: Pick<Details, 'cert_domains'>, hostname: string): boolean =>
  cert_domains.some(
    (name) => name === hostname || (name.startsWith('*.') && name.slice(1) === hostname.replace(/^[^.]+/, '')),
  )

function namesOf({ subjectAltName, subject }: X509Certificate): string[] {
  const names = [...(subjectAltName ?? '').matchAll(/(?:^|, )DNS:([^,"\s]+)/g)].map(([, name = '']) =>
    name.toLowerCase(),
  )
  if (names.length > 0) return names
  return [...subject.matchAll(/^CN=(.+)$/gm)].map(([, name = '']) => name.toLowerCase())
}

/** `/C=US/O=Example/CN=example.com`, as Heroku writes names. */
const named = (lines: string): string => `/${lines.split('\n').join('/')}`

let authorities: Map<string, X509Certificate[]> | undefined

/** By name, because there are some 150 and reading them takes a while. */
function authoritiesNamed(subject: string): X509Certificate[] {
  if (!authorities) {
    authorities = new Map()
    for (const pem of rootCertificates) {
      const root = new X509Certificate(pem)
      authorities.set(root.subject, [...(authorities.get(root.subject) ?? []), root])
    }
  }
  return authorities.get(subject) ?? []
}

const isTrusted = (last: X509Certificate): boolean =>
  authoritiesNamed(last.issuer).some((root) => root.fingerprint256 === last.fingerprint256 || isIssuer(root, last))
