import type { App } from '../app/app.ts'
import type { Collaborator } from '../app/collaborator.ts'
import { type Build, findBuild } from '../build/build.ts'
import type { Daemon } from '../daemon.ts'
import { findRelease, type Release } from '../release/release.ts'
import type { Domain } from '../route/domain.ts'
import type { SniEndpoint } from '../route/sni-endpoint.ts'
import { type Dyno, viewOf } from '../run/dyno.ts'
import type { FormationView } from '../run/formation.ts'
import type { Represent } from '../webhook/payload.ts'
import { emailsOf, serializeApp } from './app.ts'
import { serialize as serializeBuild } from './build.ts'
import { serialize as serializeCollaborator } from './collaborator.ts'
import { serialize as serializeDomain } from './domain.ts'
import { serialize as serializeDyno } from './dyno.ts'
import { serialize as serializeFormation } from './formation.ts'
import { gitUrl, placeOf } from './link.ts'
import { serialize as serializeRelease } from './release.ts'
import { serialize as serializeSniEndpoint } from './sni-endpoint.ts'

/**
 * What webhooks are told of a thing: what the API answers for it, made of what the domain has noted. Links that are secrets (build output)
 * are not in it. Throws when the app is gone.
 */
export function createRepresent(d: Daemon): Represent {
  const place = placeOf(d.config)
  const emailOf = async (account: string) => (await emailsOf(d, [account])).get(account) ?? ''
  const build = async (app: App, noted: Partial<Build> & { id: string }) => {
    const now: Build = { ...(await findBuild(d.db, app.id, noted.id)), ...noted }
    return serializeBuild(now, { source: gitUrl(place, d.config, app), email: await emailOf(now.account_id) })
  }
  const release = async (app: App, noted: Partial<Release> & { id: string }) => {
    const now: Release = { ...(await findRelease(d.db, app.id, noted.id)), ...noted }
    return serializeRelease(app, now, await emailOf(now.account_id))
  }
  const dyno = async (app: App, noted: Dyno) => {
    const release = d.db.selectFrom('releases').select('version').where('id', '=', noted.release_id)
    const { version } = await release.executeTakeFirstOrThrow()
    return serializeDyno(app, viewOf({ ...noted, version }))
  }
  return async (include, id, noted) => {
    if (include === 'api:app') return serializeApp(d, place, noted as App)
    const app = await d.db.selectFrom('apps').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    switch (include) {
      case 'api:build':
        return build(app, noted as Build)
      case 'api:release':
        return release(app, noted as Release)
      case 'api:dyno':
      case 'dyno':
        return dyno(app, noted as Dyno)
      case 'api:collaborator':
        return serializeCollaborator(app, noted as Collaborator)
      case 'api:domain':
        return serializeDomain(app, noted as Domain)
      case 'api:formation':
        return serializeFormation(app, noted as FormationView)
      case 'api:sni-endpoint':
        return serializeSniEndpoint(app, noted as SniEndpoint)
      default:
        return include satisfies never
    }
  }
}
