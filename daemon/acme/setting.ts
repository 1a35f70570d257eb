/** The public authority that certificates come from. */
export interface AcmeSettings {
  /** URL of its directory. */
  directory: string
  /** Where it may write to. */
  contact: string | undefined
  /** By what it knows its customer (RFC 8555 7.3.4). */
  binding: { kid: string; hmac: string } | undefined
  /** Apps' own hosts get certificates too. */
  hosts: boolean
}

type Environment = { [name: string]: string | undefined }

/** https://letsencrypt.org/docs/acme-protocol-updates/, https://letsencrypt.org/docs/staging-environment/ */
const KNOWN: Record<string, string> = {
  letsencrypt: 'https://acme-v02.api.letsencrypt.org/directory',
  'letsencrypt-staging': 'https://acme-staging-v02.api.letsencrypt.org/directory',
}

/** Throws a sentence. `domain`: what apps' own hosts are below. */
export function readAuthority(env: Environment, domain: string): AcmeSettings | undefined {
  const { SLUICE_ACME_DIRECTORY: given, SLUICE_ACME_CONTACT: contact, SLUICE_ACME_HOSTS: hosts } = env
  if (!given) return undefined
  const directory = KNOWN[given] ?? given
  if (!URL.canParse(directory) || new URL(directory).protocol !== 'https:')
    throw new Error(`SLUICE_ACME_DIRECTORY is "${given}"; it must be an https URL, letsencrypt or letsencrypt-staging.`)
  if (contact && !/^[^\s@:]+@[^\s@:]+$/.test(contact))
    throw new Error(`SLUICE_ACME_CONTACT is "${contact}"; it must be a mail address.`)
  if (hosts && hosts !== 'on' && hosts !== 'off')
    throw new Error(`SLUICE_ACME_HOSTS is "${hosts}"; it must be on or off.`)
  return {
    directory,
    contact: contact || undefined,
    binding: bindingOf(env),
    hosts: hosts !== 'off' && isPublic(domain),
  }
}

/** No message says the key. */
function bindingOf({ SLUICE_ACME_EAB_KID: kid, SLUICE_ACME_EAB_HMAC: hmac }: Environment): AcmeSettings['binding'] {
  if (!kid && !hmac) return undefined
  if (!kid || !hmac) throw new Error('SLUICE_ACME_EAB_KID and SLUICE_ACME_EAB_HMAC belong together: set both.')
  if (!/^[A-Za-z0-9_-]{16,}={0,2}$/.test(hmac))
    throw new Error('SLUICE_ACME_EAB_HMAC must be in base64url, as the authority shows it.')
  return { kid, hmac }
}

/** No authority certifies a name below one of these (RFC 6761, RFC 6762, RFC 8375), nor one of a single label. */
const LOCAL = ['localhost', 'local', 'internal', 'test', 'invalid', 'onion', 'arpa', 'lan', 'home']

const isPublic = (domain: string): boolean => {
  const labels = domain.split('.')
  return labels.length > 1 && !LOCAL.includes(labels.at(-1) ?? '')
}
