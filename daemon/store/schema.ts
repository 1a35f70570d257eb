import type { ColumnType, Generated } from 'kysely'

/**
 * The tables. Ids are UUIDs, times are milliseconds since the epoch, booleans are 0 or 1, lists and objects are JSON text.
 * Each table has one writing file, named beside it; anyone may read.
 */
export interface Schema {
  accounts: Accounts // account/account.ts
  authorizations: Authorizations // account/authorization.ts
  activities: Activities // account/activity.ts
  apps: Apps // app/app.ts
  collaborators: Collaborators // app/collaborator.ts
  buildpack_installations: BuildpackInstallations // app/buildpack.ts
  builds: Builds // build/build.ts
  slugs: Slugs // build/slug.ts
  releases: Releases // release/release.ts
  rollouts: Rollouts // run/rollout.ts
  formation: Formation // run/formation.ts
  dynos: Dynos // run/dyno.ts
  domains: Domains // route/domain.ts
  log_drains: LogDrains // logs/drain/drain.ts
}

type Flag = ColumnType<0 | 1, 0 | 1, 0 | 1>

interface Accounts {
  id: string
  email: string
  name: string | null
  admin: Flag
  created_at: number
  updated_at: number
  last_login: number | null
}

/** OAuth authorizations; only the hash of a token is kept. */
interface Authorizations {
  id: string
  account_id: string
  description: string
  /** SHA-256 of the token, hex. */
  token_hash: string
  /** First and last characters, to tell tokens apart. */
  token_hint: string
  scope: string
  expires_at: number | null
  created_at: number
  updated_at: number
}

/** The audit trail. It has no foreign keys: it tells of apps and accounts that are gone, too. */
interface Activities {
  id: Generated<number>
  app_id: string | null
  account_id: string
  email: string
  /** IP address. */
  origin: string | null
  text: string
  created_at: number
}

interface Apps {
  id: string
  name: string
  owner_id: string
  stack: string
  maintenance: Flag
  /** Index of the app's network in the pool; unique among live apps. */
  network: number
  created_at: number
  updated_at: number
  /** Set when the app is being destroyed: its name is free, its dynos are to be stopped, then its row goes. */
  destroyed_at: number | null
}

interface Collaborators {
  id: string
  app_id: string
  account_id: string
  role: 'owner' | 'collaborator'
  created_at: number
  updated_at: number
}

interface BuildpackInstallations {
  app_id: string
  ordinal: number
  /** A URL, or a registry name such as `heroku/nodejs`. */
  url: string
}

interface Builds {
  id: string
  app_id: string
  account_id: string
  status: 'pending' | 'succeeded' | 'failed'
  /** Commit or version that the client names. */
  version: string | null
  stack: string
  /** JSON list of `{url, name?}`. */
  buildpacks: string
  slug_id: string | null
  release_id: string | null
  failure: string | null
  created_at: number
  updated_at: number
}

interface Slugs {
  id: string
  app_id: string
  /** Hash of source tree, buildpacks, build configuration and stack. */
  key: string
  commit: string | null
  /** `SHA256:<hex>` of the stored archive. */
  checksum: string
  size: number
  /** JSON object, type to command. */
  process_types: string
  buildpack_description: string
  stack: string
  created_at: number
}

/** Immutable. What became of a release is in `rollouts`. */
interface Releases {
  id: string
  app_id: string
  version: number
  description: string
  slug_id: string | null
  /** All config vars at this release, sealed JSON object. */
  config: string
  account_id: string
  created_at: number
}

export type RolloutState = 'waiting' | 'phase' | 'booting' | 'cutover' | 'succeeded' | 'failed'

/** The way of one release to the public, one row a release; the state machine is drawn in run/rollout.ts. */
interface Rollouts {
  release_id: string
  app_id: string
  version: number
  state: RolloutState
  /** A push in progress: undone, not finished, when the daemon restarts, because git was told that it failed. */
  attended: Flag
  /** Why it failed, for the user. */
  reason: string | null
  created_at: number
  updated_at: number
}

interface Formation {
  id: string
  app_id: string
  type: string
  quantity: number
  size: string
  created_at: number
  updated_at: number
}

export type DynoState = 'starting' | 'up' | 'draining' | 'stopping' | 'crashed' | 'down'

interface Dynos {
  id: string
  app_id: string
  release_id: string
  /** A process type, or `release` for a release command, or `run` for a one-off. */
  type: string
  ordinal: number
  size: string
  command: string
  /** The state machine is drawn in run/dyno.ts. */
  state: DynoState
  /** Asked to be replaced (ps:restart): serves on until its successor is up. */
  replace: Flag
  /** Crashes in a row of this slot; back-off grows with it. */
  crashes: number
  retry_at: number | null
  exit_code: number | null
  address: string | null
  port: number
  /** What makes it a one-off dyno, sealed JSON (run/oneoff.ts); null for those of the formation and for release commands. */
  one_off: string | null
  created_at: number
  updated_at: number
}

interface Domains {
  id: string
  app_id: string
  hostname: string
  created_at: number
  updated_at: number
}

interface LogDrains {
  id: string
  app_id: string
  /** `d.<UUID>`: what receivers know it by. */
  token: string
  /** Sealed, because it may hold credentials. */
  url: string
  created_at: number
  updated_at: number
}
