import { createHash, createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'

/** An account's key at an authority, and what is signed with it: JWS as RFC 8555 6.2 wants it, ES256. */
export interface AccountKey {
  /** The public half (RFC 7517), members in the order of RFC 7638. */
  jwk: { crv: string; kty: string; x: string; y: string }
  /** What an authority finds behind the token of a challenge (RFC 8555 8.1). */
  authorize(token: string): string
  /** A body for POST. `payload`: an object, or '' for POST-as-GET. */
  sign(header: Record<string, unknown>, payload: object | ''): string
}

/** PEM. */
export const generateKey = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

export function openKey(pem: string): AccountKey {
  const key = createPrivateKey(pem)
  const { crv = '', kty = '', x = '', y = '' } = createPublicKey(key).export({ format: 'jwk' })
  const jwk = { crv, kty, x, y }
  const thumbprint = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url')
  return {
    jwk,
    authorize: (token) => `${token}.${thumbprint}`,
    sign(header, payload) {
      const text = payload === '' ? '' : encode(payload)
      const head = encode({ alg: 'ES256', ...header })
      const signature = sign('sha256', Buffer.from(`${head}.${text}`), { key, dsaEncoding: 'ieee-p1363' })
      return JSON.stringify({ protected: head, payload: text, signature: signature.toString('base64url') })
    },
  }
}

/** Tells an authority whose account a key is to be: the key's public half, signed with what it has given its customer (RFC 8555 7.3.4). */
export function bind({ kid, hmac }: { kid: string; hmac: string }, url: string, { jwk }: AccountKey): object {
  const [head, text] = [encode({ alg: 'HS256', kid, url }), encode(jwk)]
  const signature = createHmac('sha256', Buffer.from(hmac, 'base64url')).update(`${head}.${text}`).digest('base64url')
  return { protected: head, payload: text, signature }
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
