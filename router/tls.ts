import { constants } from 'node:crypto'
import type { SecureContextOptions, Server, TLSSocket, TlsOptions } from 'node:tls'
import type { Entrance } from './client.ts'
import type { Contexts } from './contexts.ts'
import type { Router } from './router.ts'
import { ticketLife } from './tickets.ts'

/** The site's own certificate first, PEM. */
export interface Pair {
  key: string | Buffer
  cert: string | Buffer
}

/**
 * What is agreed on: Mozilla's "intermediate" (https://wiki.mozilla.org/Security/Server_Side_TLS) without DHE, in our order. Node.js puts
 * an app's certificate beside the platform's own, which is ECDSA on P-256, and OpenSSL takes the first of these that it has one for: so
 * ECDSA is last, or an app's RSA certificate would hardly ever be shown.
 */
const terms = {
  minVersion: 'TLSv1.2',
  ecdhCurve: 'X25519:P-256:P-384',
  honorCipherOrder: true,
  /** Who has no hardware for AES says so by putting ChaCha20 first. */
  secureOptions: constants.SSL_OP_PRIORITIZE_CHACHA,
  ciphers: [
    ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
    ...['ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-RSA-CHACHA20-POLY1305'],
    ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
  ].join(':'),
  sigalgs: [
    'ed25519',
    ...['rsa_pss_pss_sha256', 'rsa_pss_pss_sha384', 'rsa_pss_pss_sha512'],
    ...['rsa_pss_rsae_sha256', 'rsa_pss_rsae_sha384', 'rsa_pss_rsae_sha512'],
    ...['rsa_pkcs1_sha256', 'rsa_pkcs1_sha384', 'rsa_pkcs1_sha512'],
    ...['ecdsa_secp256r1_sha256', 'ecdsa_secp384r1_sha384', 'ecdsa_secp521r1_sha512'],
  ].join(':'),
} as const satisfies SecureContextOptions & TlsOptions

/** A handshake that takes longer than a head may is cut. */
export const serverOptions = (router: Router, pair: Pair, contexts: Contexts): TlsOptions => ({
  ...pair,
  ...terms,
  allowHalfOpen: true,
  sessionTimeout: ticketLife,
  ALPNProtocols: ['h2', 'http/1.1'],
  handshakeTimeout: router.limits.head,
  SNICallback: (name, done) => done(null, contexts.find(name)),
})

/** From the next handshake on; open connections stay as they are. Its ticket keys are to be installed anew. */
export const present = (server: Server, pair: Pair): void =>
  server.setSecureContext({ ...pair, ...terms, sessionTimeout: ticketLife })

/** What a handshake has settled. */
export function settled(router: Router, socket: TLSSocket): Pick<Entrance, 'tls' | 'http2' | 'asked'> {
  // The types forget that a client may ask for no name.
  const { servername } = socket as { servername?: string | false | null }
  const name = servername ? servername.toLowerCase() : undefined
  return {
    tls: (socket.getProtocol() ?? 'unknown').replace('TLSv', 'tls'),
    http2: socket.alpnProtocol === 'h2',
    ...(name === undefined ? {} : { asked: { name, certificate: router.certificateOf(name) } }),
  }
}
