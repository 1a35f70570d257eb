import { isIP } from 'node:net'
import type { Config } from './config.ts'

/** The platform's own names, which lead to the routers and are no app's: `api` for the API, and the same or others for git and images. */
export interface Names {
  api: string
  git: string
  registry: string
}

type Environment = { [name: string]: string | undefined }

/** Of the settings; undefined when the API is reached by its own port only. Throws a sentence. */
export function parseNames(env: Environment): Names | undefined {
  const [api, git, registry] = NAMES.map((variable) => parseName(variable, env[variable]))
  if (api !== undefined) return { api, git: git ?? api, registry: registry ?? api }
  if (git !== undefined || registry !== undefined)
    throw new Error('SLUICE_GIT_HOST and SLUICE_REGISTRY_HOST are beside the name of the API: set SLUICE_API_HOST too.')
  return undefined
}

const NAMES = ['SLUICE_API_HOST', 'SLUICE_GIT_HOST', 'SLUICE_REGISTRY_HOST'] as const
const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/

function parseName(variable: string, value: string | undefined): string | undefined {
  if (!value) return undefined
  const name = value.toLowerCase()
  const labels = name.split('.')
  const valid = name.length <= 253 && labels.length > 1 && labels.every((label) => LABEL.test(label))
  if (!valid || isIP(name) !== 0)
    throw new Error(
      `${variable} is "${value}"; it must be a host name such as api.example.com, without scheme and port.`,
    )
  return name
}

/** Each once. */
export const hostsOf = (names: Names | undefined): string[] =>
  names === undefined ? [] : [...new Set([names.api, names.git, names.registry])]

/** Where an app is served: over TLS where its own host gets a certificate that browsers trust. */
export function appUrl({ domain, router, acme }: Pick<Config, 'domain' | 'router' | 'acme'>, app: string): string {
  const [scheme, port, usual] = acme?.hosts ? ['https', router.tlsPort, 443] : ['http', router.httpPort, 80]
  return `${scheme}://${app}.${domain}${port === usual ? '' : `:${port}`}/`
}
