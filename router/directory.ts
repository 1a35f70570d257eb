import type { Backend } from './backend.ts'
import type { AppRoute } from './protocol.ts'
import type { App } from './router.ts'
import { Hosts } from './table.ts'

/** What the hosts of one app are bound to. */
export interface Binding {
  /** Id of a certificate; null for the platform's own. */
  id: string | null
  hosts: string[]
}

/** The apps of a table, or of a part of one, by all that they are found by. */
export class Directory {
  readonly apps = new Map<string, App>()
  readonly hosts = new Hosts<App>()
  readonly bindings = new Hosts<Binding>()
  readonly backends = new Map<string, Backend>()

  put(app: App): void {
    this.apps.set(app.route.id, app)
    for (const host of app.hosts) this.hosts.put(host, app)
    for (const binding of app.bindings) for (const host of binding.hosts) this.bindings.put(host, binding)
    for (const backend of app.backends) this.backends.set(backend.id, backend)
  }

  remove(app: App): void {
    this.apps.delete(app.route.id)
    for (const host of app.hosts) this.hosts.remove(host)
    for (const { hosts } of app.bindings) for (const host of hosts) this.bindings.remove(host)
    for (const { id } of app.backends) this.backends.delete(id)
  }
}

/** Every host with what it is bound to, because a host without a certificate must not get that of a wildcard beside it. */
export function bindingsOf({ hosts, certificates }: AppRoute): Binding[] {
  if (certificates.length === 0) return [{ id: null, hosts }]
  const bound = new Set(certificates.flatMap((one) => one.hosts))
  return [{ id: null, hosts: hosts.filter((host) => !bound.has(host)) }, ...certificates]
}

/**
 * What comes of `before` without the apps in `out` and with those in `coming`, one of the two, changed: whichever has more, so that it
 * costs by the smaller.
 */
export function merged(before: Directory, out: readonly App[], coming: Directory): Directory {
  if (coming.apps.size <= before.apps.size - out.length) {
    for (const app of out) before.remove(app)
    for (const app of coming.apps.values()) before.put(app)
    return before
  }
  const leaving = new Set(out)
  for (const app of before.apps.values()) if (!leaving.has(app)) coming.put(app)
  return coming
}
