import { ask, list, Refused } from '../api.ts'
import { perhapsAppOf } from '../app.ts'
import { action, json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { appCommand, at } from './command.ts'
import { byName, type Feature, showFeature, showFeatures } from './feature.ts'

export function register(program: Program): void {
  appCommand(program, 'labs', 'list experimental features: yours, and those of an app')
    .option('--json', 'output in json format', false)
    .action(async (options) => labs(await perhapsAppOf(options), options.json))
  appCommand(program, 'labs:info', 'display information about an experimental feature')
    .argument('<feature>', 'name of the feature')
    .option('--json', 'output in json format', false)
    .action(async (name, options) => {
      const { feature } = await find(name, await perhapsAppOf(options))
      if (options.json) json(feature)
      else showFeature(feature)
    })
  for (const [verb, doing, enabled] of [
    ['enable', 'Enabling', true],
    ['disable', 'Disabling', false],
  ] as const)
    appCommand(program, `labs:${verb}`, `${verb} an experimental feature`)
      .argument('<feature>', 'name of the feature')
      .action(async (name, options) => {
        const { path, owner } = await find(name, await perhapsAppOf(options))
        await action(`${doing} ${name} for ${owner}`, () => ask('PATCH', path, { body: { enabled } }))
      })
}

const account = async (): Promise<string> => (await ask<{ email: string }>('GET', '/account')).email

async function labs(app: string | undefined, asJson: boolean): Promise<void> {
  const [email, user, ofApp] = await Promise.all([
    account(),
    list<Feature>('/account/features'),
    app === undefined ? null : list<Feature>(at('apps', app, 'features')),
  ])
  const experimental = (features: Feature[]): Feature[] => features.filter(({ state }) => state !== 'general')
  if (asJson) return json({ app: ofApp && experimental(ofApp), user: experimental(user) })
  showFeatures(`User Features ${email}`, experimental(user).toSorted(byName))
  if (!ofApp) return
  say('')
  showFeatures(`App Features ${app}`, experimental(ofApp).toSorted(byName))
}

interface Found {
  feature: Feature
  path: string
  owner: string
}

/** A feature of the account, or else of the app. */
async function find(name: string, app: string | undefined): Promise<Found> {
  const own = at('account', 'features', name)
  try {
    return { feature: await ask('GET', own), path: own, owner: await account() }
  } catch (error) {
    if (app === undefined || !(error instanceof Refused) || error.status !== 404) throw error
    const path = at('apps', app, 'features', name)
    return { feature: await ask('GET', path), path, owner: app }
  }
}
