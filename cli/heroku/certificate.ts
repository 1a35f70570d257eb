import { list } from '../api.ts'
import { say } from '../output.ts'
import { utc } from './ago.ts'
import { at } from './command.ts'
import { fields } from './fields.ts'

/** A certificate and where it is used, as the API tells. */
export interface Endpoint {
  name: string
  display_name: string | null
  app: { name: string } | null
  /** Ids. */
  domains: string[]
  ssl_cert: {
    acm: boolean
    'ca_signed?': boolean
    cert_domains: string[]
    expires_at: string
    starts_at: string
    issuer: string
    subject: string
  }
}

export const endpointsOf = (app: string): Promise<Endpoint[]> => list(at('apps', app, 'sni-endpoints'))

/** `domains` that are ids are not shown. */
export function showCertificate(endpoint: Endpoint, title = 'Certificate details:'): void {
  const { ssl_cert: cert, domains } = endpoint
  const renewal = new Date(cert.expires_at)
  renewal.setMonth(renewal.getMonth() - 1)
  if (endpoint.app && cert.acm && renewal.getTime() > Date.now())
    say(`Renewal scheduled for ${utc(renewal.toISOString())}.\n`)
  say(title)
  fields({
    'Common Name(s)': cert.cert_domains,
    'Expires At': utc(cert.expires_at),
    Issuer: cert.issuer,
    'Starts At': utc(cert.starts_at),
    Subject: cert.subject,
    'Domain(s)': domains.filter((domain) => domain.includes('.')),
  })
  if (cert['ca_signed?']) say('SSL certificate is verified by a root authority.')
  else say(`SSL certificate is ${cert.issuer === cert.subject ? 'self signed' : 'not trusted'}.`)
}
