import 'reflect-metadata'
import { AuthorityKeyIdentifierExtension, X509Certificate } from '@peculiar/x509'

/** By what an authority knows a certificate that it gave (RFC 9773 4.1): its own key's id and the serial number. Undefined without the former. */
export function certificateId(pem: string): string | undefined {
  const certificate = new X509Certificate(pem)
  const key = certificate.getExtension(AuthorityKeyIdentifierExtension)?.keyId
  return key === undefined ? undefined : [key, integer(certificate.serialNumber)].map(base64url).join('.')
}

/** As DER has it: of a number whose first bit is set the zero before it counts. */
const integer = (hex: string): string => (/^[89a-f]/i.test(hex) ? `00${hex}` : hex)

const base64url = (hex: string): string => Buffer.from(hex, 'hex').toString('base64url')
