import type { ColumnType, Generated } from 'kysely'
import type {
  Accounts,
  Activities,
  Authorizations,
  Clients,
  Grants,
  Invitations,
  Keys,
  Passwords,
  Sessions,
} from './schema-account.ts'
import type {
  AppSetups,
  PipelineConfigVars,
  PipelineCouplings,
  PipelinePromotions,
  PipelinePromotionTargets,
  Pipelines,
  ReviewAppConfigs,
  ReviewApps,
} from './schema-pipeline.ts'
import type { WebhookDeliveries, WebhookEvents, Webhooks } from './schema-webhook.ts'

/**
 * The tables. Ids are UUIDs, times are milliseconds since the epoch, booleans are 0 or 1, lists and objects are JSON text.
 * Each table has one writing file, named beside it; anyone may read.
 */
export interface Schema {
  accounts: Accounts // account/account.ts
  passwords: Passwords // account/password.ts
  invitations: Invitations // account/invitation.ts
  sessions: Sessions // account/session.ts
  clients: Clients // account/client.ts
  authorizations: Authorizations // account/authorization.ts
  grants: Grants // account/grant.ts
  keys: Keys // account/key.ts
  activities: Activities // account/activity.ts
  apps: Apps // app/app.ts
  collaborators: Collaborators // app/collaborator.ts
  app_transfers: AppTransfers // app/transfer.ts
  buildpack_installations: BuildpackInstallations // app/buildpack.ts
  app_features: AppFeatures // app/feature.ts
  sources: Sources // build/source/upload.ts
  builds: Builds // build/build.ts
  slugs: Slugs // build/slug/slug.ts
  base_images: BaseImages // build/container/base-image.ts
  base_image_uses: BaseImageUses // build/container/base-image.ts
  releases: Releases // release/release.ts
  rollouts: Rollouts // run/rollout.ts
  receipts: Receipts // run/takeover.ts
  formation: Formation // run/formation.ts
  dynos: Dynos // run/dyno.ts
  domains: Domains // route/domain.ts
  log_drains: LogDrains // logs/drain/drain.ts
  sni_endpoints: SniEndpoints // route/sni-endpoint.ts
  acm_domains: AcmDomains // route/acm-domain.ts
  acm_hosts: AcmHosts // route/acm-host.ts
  acme_accounts: AcmeAccounts // route/acme-account.ts
  acme_orders: AcmeOrders // route/acme-order.ts
  webhooks: Webhooks // webhook/webhook.ts
  webhook_events: WebhookEvents // webhook/event.ts
  webhook_deliveries: WebhookDeliveries // webhook/delivery.ts
  pipelines: Pipelines // pipeline/pipeline.ts
  pipeline_couplings: PipelineCouplings // pipeline/coupling.ts
  pipeline_config_vars: PipelineConfigVars // pipeline/config.ts
  pipeline_promotions: PipelinePromotions // pipeline/promotion.ts
  pipeline_promotion_targets: PipelinePromotionTargets // pipeline/promotion.ts
  app_setups: AppSetups // pipeline/setup.ts
  review_apps: ReviewApps // pipeline/review-app.ts
  review_app_configs: ReviewAppConfigs // pipeline/review-app-config.ts
}

export type Flag = ColumnType<0 | 1, 0 | 1, 0 | 1>
/** One that has a default. */
export type GivenFlag = ColumnType<0 | 1, 0 | 1 | undefined, 0 | 1>

interface Apps {
  id: string
  name: string
  owner_id: string
  stack: string
  maintenance: Flag
  /** Of a team app: only members who were added see it. */
  locked: Flag
  /** Automated Certificate Management: its custom domains get certificates from a public authority. */
  acm: GivenFlag
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
  /** JSON list of permissions; an owner's are not looked at. */
  permissions: string
  created_at: number
  updated_at: number
}

/** The latest transfer of an app, which changes hands when the recipient accepts. */
interface AppTransfers {
  id: string
  app_id: string
  /** Who had the app when this was asked. */
  owner_id: string
  recipient_id: string
  state: 'pending' | 'accepted' | 'declined'
  created_at: number
  updated_at: number
}

interface BuildpackInstallations {
  app_id: string
  ordinal: number
  /** A URL, or a registry name such as `heroku/nodejs`. */
  url: string
}

/** What differs from what a feature is at first. */
interface AppFeatures {
  app_id: string
  name: string
  enabled: Flag
  created_at: number
  updated_at: number
}

/** Sources that were sent to the platform, or will be; the file has the row's id. */
interface Sources {
  id: string
  account_id: string
  /** Of the file, as it came: SHA-256 in hex. Null until it is there. */
  checksum: string | null
  size: number | null
  created_at: number
  updated_at: number
}

interface Builds {
  id: string
  app_id: string
  account_id: string
  status: 'pending' | 'succeeded' | 'failed'
  /** Commit or version that the client names. */
  version: string | null
  version_description: string | null
  /** Where its source came from, sealed, because it may hold credentials; null for a push. */
  source_url: string | null
  source_checksum: string | null
  stack: string
  /** JSON list of `{url, name, revision}`, the buildpacks as they were (build/build.ts). */
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
  /** Of source tree, buildpacks, build configuration and stack (build/slug/key.ts); empty: not to be used for another build. */
  key: string
  /** Name of the folder with its archive and tree, which slugs may share; empty when it has none. */
  files: string
  commit: string | null
  commit_description: string | null
  /** awaited: made by a client that has not sent its archive yet. ready: its files are there. */
  archive: Generated<'awaited' | 'ready'>
  /** `SHA256:<hex>` of the archive as it was built or sent; of an awaited one, what the client says it will be, or empty. */
  checksum: string
  size: number
  /** JSON object, type to command. */
  process_types: string
  buildpack_description: string
  stack: string
  /** Of the container stack: JSON object, process type to the image that it runs (build/container/image.ts); no files then. Null for a slug. */
  images: string | null
  /** JSON object, process type to its health checks by type, from `app.json` (build/check.ts); null when there is none. */
  checks: string | null
  created_at: number
  /** Its archive and its images may be removed, or are: it cannot be released any more. `files` is empty when they are. */
  deleted_at: ColumnType<number | null, number | null | undefined, number | null>
}

/** Images that were fetched because a Dockerfile begins with them; those that the host had anyway are not here. */
interface BaseImages {
  /** As the Dockerfile names it, with its tag or digest. */
  reference: string
  /** What it stood for: `sha256:…` */
  image: string
  size: number
  used_at: number
  created_at: number
}

/** The base images of each app's newest build. */
interface BaseImageUses {
  app_id: string
  reference: string
}

/** Immutable. What became of a release is in `rollouts`. */
interface Releases {
  id: string
  app_id: string
  version: number
  description: string
  slug_id: string | null
  /** Version of the release that brought its code: its own, or what it was based on. Null in releases from before this was kept. */
  code_version: Generated<number | null>
  /** The same of what it keeps beside code of its own: images of other process types. */
  keeps_version: Generated<number | null>
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
  /** Version of the later release that came to serve before it: it failed of nothing else. */
  superseded_by: number | null
  created_at: number
  updated_at: number
}

/** What became of the requests that were under way when a release took over; goes with the release. */
interface Receipts {
  /** That took over. */
  release_id: string
  /** Version of the release that it took over from. */
  replaced: number
  /** Web dynos of it that are counted. */
  dynos: number
  in_flight: number
  finished: number
  cut: number
  failed: number
  /** ms from the cutover to the last end. */
  took: number
  /** Null while a dyno of it is still to be counted. */
  settled_at: number | null
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
  /** How long it may take to accept connections when it is a web dyno, ms (run/setting.ts). */
  boot_time: ColumnType<number, number | undefined, number>
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
  /** Whose certificate the routers serve for it; null for the platform's own. */
  sni_endpoint_id: string | null
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

interface SniEndpoints {
  id: string
  app_id: string
  name: string
  /** Another one whenever chain and key are replaced: what it stands for never changes, so that routers may keep it. */
  certificate_id: string
  /** PEM, the site's own certificate first. */
  certificate_chain: string
  /** PEM, sealed with the certificate's id. */
  private_key: string
  /** It is one domain's, from a public authority, and is renewed. */
  acm: GivenFlag
  created_at: number
  updated_at: number
}

export type AcmState = 'pending' | 'verifying' | 'verified' | 'issued' | 'failing' | 'failed'

/** How far a domain's certificate is; none before its first turn. */
interface AcmDomains {
  domain_id: string
  /** The state machine is drawn in route/acm.ts. */
  state: AcmState
  /** Why there is none, or no new one, for the user. */
  reason: string | null
  /** In a row. */
  failures: number
  /** When it is its turn again. */
  next_at: number
  /** Of the authority that the certificate is from; empty when that was not noted yet. */
  directory: Generated<string>
  updated_at: number
}

/** The same for the platform's names and the apps' own hosts, which are no rows elsewhere. */
interface AcmHosts extends Omit<AcmDomains, 'domain_id'> {
  hostname: string
  /** Null for the platform's names. */
  app_id: string | null
  /** What is served, as in `sni_endpoints`; null before the first. */
  certificate_id: string | null
  certificate_chain: string | null
  private_key: string | null
}

/** What an authority was asked for in the last week. */
interface AcmeOrders {
  id: Generated<number>
  directory: string
  hostname: string
  /** `host`: of an app's own host, for the first time; `renewal`: of a certificate that is there from the same authority. */
  kind: 'name' | 'host' | 'renewal'
  /** `limited`: refused for how much we ask, or how busy it is. One that is `underway` at a start has been broken off. */
  outcome: 'underway' | 'issued' | 'failed' | 'limited'
  /** When it may be asked again. */
  until: number | null
  created_at: number
}

/** Who we are to an authority that speaks ACME. */
interface AcmeAccounts {
  directory: string
  /** PEM, sealed with the directory's URL. */
  private_key: string
  created_at: number
}
