import type { Selectable } from 'kysely'
import { type Actor, enact } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import type { DbOrTx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import type { App } from './app.ts'

/** What is optional about an app, under Heroku's names (https://devcenter.heroku.com/articles/app-features). */
export interface Feature {
  name: string
  title: string
  description: string
  /** general: `heroku features` shows it. public: `heroku labs` does. */
  state: 'general' | 'public'
  /** What Heroku makes optional and Sluice does for every app. */
  always: boolean
}

export const features: readonly Feature[] = [
  {
    name: 'http-session-affinity',
    title: 'Session affinity',
    description: 'A client that keeps cookies stays with one web dyno, for as long as that dyno serves.',
    state: 'general',
    always: false,
  },
  {
    name: 'https-redirect',
    title: 'Redirect to HTTPS',
    description: 'What is asked for over plain HTTP is redirected to HTTPS by the router.',
    state: 'general',
    always: false,
  },
  {
    name: 'preboot',
    title: 'Preboot',
    description: 'New dynos serve before old ones stop. Every release does this here.',
    state: 'general',
    always: true,
  },
  {
    name: 'serial-deploy',
    title: 'Serial deploys',
    description:
      'Where the machine has no memory for a new web dyno beside the old one, the old one stops first, and nobody serves until the new one is up.',
    state: 'general',
    always: false,
  },
  {
    name: 'runtime-heroku-exec',
    title: 'Heroku Exec',
    description:
      'Sessions in running dynos: ps:exec, ps:copy, ps:forward, ps:socks. Nothing in a dyno is needed for them here.',
    state: 'general',
    always: true,
  },
  {
    name: 'http-disable-keepalive-to-dyno',
    title: 'No keep-alive to dynos',
    description: 'Each request reaches its dyno on a connection of its own, which the router closes afterwards.',
    state: 'public',
    always: false,
  },
  {
    name: 'http-end-to-end-continue',
    title: 'End-to-end 100-continue',
    description: 'Expect: 100-continue is for the dyno to answer, and not for the router.',
    state: 'public',
    always: false,
  },
  {
    name: 'runtime-dyno-metadata',
    title: 'Dyno metadata',
    description: 'App, release and commit are in the environment of dynos, from the next release on.',
    state: 'public',
    always: false,
  },
]

/** A feature as it is for one app. */
export interface Setting extends Feature {
  enabled: boolean
  updated_at: number
}

export async function listFeatures(db: DbOrTx, app: App): Promise<Setting[]> {
  const rows = await db.selectFrom('app_features').selectAll().where('app_id', '=', app.id).execute()
  return features.map((feature) => settingOf(feature, app, rows))
}

/** Throws UserError for a feature that there is not, and for turning off what is always on. */
export async function setFeature(
  d: Daemon,
  app: App,
  account: Actor,
  { name, enabled }: { name: string; enabled: boolean },
): Promise<Setting> {
  const feature = features.find((one) => one.name === name)
  if (!feature) throw notFound('feature', 'app_feature')
  const before = (await listFeatures(d.db, app)).find((one) => one.name === name)
  if (before?.enabled === enabled) return before
  if (feature.always) throw invalid(`${feature.title} is always on here and cannot be disabled.`)
  const now = d.clock.now()
  const change = { enabled: enabled ? (1 as const) : (0 as const), updated_at: now }
  const text = `${enabled ? 'Enabled' : 'Disabled'} feature ${name}`
  await enact(d, { app, by: account, text }, (tx) =>
    tx
      .insertInto('app_features')
      .values({ app_id: app.id, name, created_at: now, ...change })
      .onConflict((conflict) => conflict.columns(['app_id', 'name']).doUpdateSet(change))
      .execute(),
  )
  d.runner.poke(app.id)
  return { ...feature, enabled, updated_at: now }
}

function settingOf(feature: Feature, app: App, rows: Selectable<Schema['app_features']>[]): Setting {
  const row = rows.find(({ name }) => name === feature.name)
  return { ...feature, enabled: feature.always || row?.enabled === 1, updated_at: row?.updated_at ?? app.created_at }
}
