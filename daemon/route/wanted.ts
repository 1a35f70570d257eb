import type { AppRoute, Backend, Challenge, Table, TableChange } from '../../router/protocol.ts'

/** The table that routers are to follow, and what changes in it. Only what is handed in is looked at, however many apps there are. Pure. */
export class WantedTable {
  version = 0
  private challenges: readonly Challenge[] = []
  /** By app: its route, the same as text, and the version in which it last changed. */
  private readonly routes = new Map<string, { route: AppRoute; text: string; version: number }>()
  private readonly backends = new Map<string, { app: string; mode: Backend['mode'] }>()

  /** What leads to these routes, which were read of some apps or of all; one that was read and has none is gone. Undefined: nothing. */
  changeTo(now: readonly AppRoute[], read: Iterable<string> | 'all', challenges: Challenge[]): TableChange | undefined {
    const here = new Set(now.map(({ id }) => id))
    const asked = read === 'all' ? this.routes.keys() : read
    const apps = now.filter((route) => this.routes.get(route.id)?.text !== JSON.stringify(route))
    const gone = [...asked].filter((id) => this.routes.has(id) && !here.has(id))
    const same = apps.length + gone.length === 0 && JSON.stringify(challenges) === JSON.stringify(this.challenges)
    if (same && this.version > 0) return undefined
    return { base: this.version, version: this.version + 1, apps, gone, challenges }
  }

  same(): TableChange {
    return { base: this.version, version: this.version + 1, apps: [], gone: [], challenges: [...this.challenges] }
  }

  follow({ version, apps, gone, challenges }: TableChange): void {
    this.version = version
    this.challenges = challenges
    for (const id of [...gone, ...apps.map(({ id }) => id)])
      for (const backend of this.routes.get(id)?.route.backends ?? []) this.backends.delete(backend.id)
    for (const id of gone) this.routes.delete(id)
    for (const route of apps) {
      this.routes.set(route.id, { route, text: JSON.stringify(route), version })
      for (const { id, mode } of route.backends) this.backends.set(id, { app: route.id, mode })
    }
  }

  whole(): Table {
    const apps = [...this.routes.values()].map(({ route }) => route)
    return { version: this.version, apps, challenges: [...this.challenges] }
  }

  /** Ids of those that a host is bound to. */
  certificates(): Set<string> {
    const ids = new Set<string>()
    for (const { route } of this.routes.values()) for (const { id } of route.certificates) ids.add(id)
    return ids
  }

  route(app: string): AppRoute | undefined {
    return this.routes.get(app)?.route
  }

  /** Of the app that it is of. */
  routeOf(backend: string): AppRoute | undefined {
    return this.route(this.backends.get(backend)?.app ?? '')
  }

  /** Apps of which a backend comes or goes. */
  moving(): Set<string> {
    return new Set([...this.backends.values()].filter(({ mode }) => mode !== 'serve').map(({ app }) => app))
  }

  /** Whether the app's newest route is in the table of this version. */
  isIn(app: string, version: number): boolean {
    const route = this.routes.get(app)
    return route !== undefined && route.version <= version
  }

  backend(id: string): { app: string; mode: Backend['mode'] } | undefined {
    return this.backends.get(id)
  }
}
