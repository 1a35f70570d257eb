import type { AppRoute, Backend, Checks } from '../../router/protocol.ts'
import type { DynoState } from '../store/schema.ts'
import type { RouteSettings } from './setting.ts'

/** What decides an app's part of the route table: rows, nothing else, so that it is the same after a crash. */
export interface Routed {
  id: string
  name: string
  maintenance: boolean
  /** What its features and its release's config vars ask of the routers. */
  wishes: Wishes
  domains: { hostname: string; certificate: string | null }[]
  /** The release that gets the requests: the one in cutover, else the serving one; null before the first deploy. */
  release: string | null
  /** A release that boots beside it. */
  candidate: string | null
  /** Wanted web dynos of that release; 0 when it has no web process. */
  web: number
  dynos: RoutedDyno[]
}

export type Wishes = RouteSettings & Pick<AppRoute, 'affinity' | 'redirect' | 'fresh' | 'passContinue'>

/** Of a release, as its build or its config vars have them. */
export type DynoChecks = Omit<Checks, 'host'>

interface RoutedDyno {
  id: string
  ordinal: number
  release: string
  state: DynoState
  /** In a row. */
  crashes: number
  address: string | null
  port: number
  checks: DynoChecks | null
}

/** An app's hosts and backends as the routers should follow them now. */
export function routeOf(app: Routed, domain: string): AppRoute {
  const host = `${app.name}.${domain}`
  return {
    id: app.id,
    name: app.name,
    hosts: [host, ...app.domains.map(({ hostname }) => hostname)],
    certificates: certificatesOf(app),
    maintenance: app.maintenance,
    ...app.wishes,
    empty: emptyOf(app),
    backends: app.dynos.flatMap((dyno): Backend[] => {
      const mode = modeOf(dyno, app)
      if (mode === null || dyno.address === null) return []
      const checks = mode !== 'drain' && dyno.checks ? { checks: { host, ...dyno.checks } } : {}
      return [{ id: dyno.id, dyno: `web.${dyno.ordinal}`, address: dyno.address, port: dyno.port, mode, ...checks }]
    }),
  }
}

function certificatesOf({ domains }: Routed): AppRoute['certificates'] {
  const hosts = new Map<string, string[]>()
  for (const { hostname, certificate } of domains)
    if (certificate !== null) hosts.set(certificate, [...(hosts.get(certificate) ?? []), hostname])
  return [...hosts].map(([id, hosts]) => ({ id, hosts }))
}

function modeOf(dyno: RoutedDyno, app: Routed): Backend['mode'] | null {
  switch (dyno.state) {
    case 'starting':
      return 'probe'
    case 'up':
      if (dyno.release === app.release) return 'serve'
      return dyno.release === app.candidate ? 'probe' : 'drain'
    case 'draining':
      return 'drain'
    case 'stopping':
    case 'crashed':
    case 'down':
      return null
    default:
      return dyno.state satisfies never
  }
}

/** Why nobody serves, when nobody serves. A dyno that crashed once starts again at once, so requests wait for it. */
function emptyOf(app: Routed): AppRoute['empty'] {
  if (app.release === null) return 'blank'
  if (app.web === 0) return 'none'
  const dynos = app.dynos.filter((dyno) => dyno.release === app.release)
  const down = dynos.some(({ state, crashes }) => state === 'crashed' && crashes > 1)
  return down && !dynos.some(({ state }) => state === 'starting') ? 'crashed' : 'starting'
}
