import { createSecureContext, type SecureContext } from 'node:tls'
import type { Certificate, Certificates } from './protocol.ts'
import type { Router } from './router.ts'

/**
 * The certificates of custom domains as TLS needs them. OpenSSL's form of one takes about a millisecond and 25 KB, so it is made when a
 * client asks for it, and the least recently used of more than `limits.secureContexts` is made again when it is asked for again. One that
 * OpenSSL does not take is said once. Handshakes that have begun keep theirs.
 */
export class Contexts {
  private readonly router: Router
  private readonly warn: (sentence: string) => void
  private readonly ready = new Map<string, SecureContext | null>()
  private certificates: Certificates = new Map()

  constructor(router: Router, warn: (sentence: string) => void) {
    this.router = router
    this.warn = warn
  }

  /** From the next handshake on. What an id stands for never changes. */
  use(certificates: Certificates): void {
    this.certificates = certificates
    for (const id of this.ready.keys()) if (!certificates.has(id)) this.ready.delete(id)
  }

  /** Undefined when the platform's own certificate is to be served. */
  find(name: string): SecureContext | undefined {
    const id = this.router.certificateOf(name.toLowerCase())
    const certificate = id === null ? undefined : this.certificates.get(id)
    if (certificate === undefined) return undefined
    const known = this.ready.get(certificate.id)
    const context = known === undefined ? this.make(certificate) : known
    this.ready.delete(certificate.id)
    this.ready.set(certificate.id, context)
    const [oldest] = this.ready.keys()
    if (oldest !== undefined && this.ready.size > this.router.limits.secureContexts) this.ready.delete(oldest)
    return context ?? undefined
  }

  private make({ id, chain, key }: Certificate): SecureContext | null {
    try {
      return createSecureContext({ cert: chain, key })
    } catch (error) {
      const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
      this.warn(`The certificate ${id} cannot be served (${why}); the platform's own is.`)
      return null
    }
  }
}
