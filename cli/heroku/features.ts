import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { action, json } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { appCommand, at } from './command.ts'
import { byName, type Feature, showFeature, showFeatures } from './feature.ts'

export function register(program: Program): void {
  appCommand(program, 'features', 'list the features of an app')
    .option('--json', 'output in json format', false)
    .action(async (options) => {
      const app = await appOf(options)
      const all = await list<Feature>(at('apps', app, 'features'))
      const features = all.filter(({ state }) => state === 'general').toSorted(byName)
      if (options.json) json(features)
      else showFeatures(`App Features ${app}`, features)
    })
  appCommand(program, 'features:info', 'display information about a feature')
    .argument('<feature>', 'name of the feature')
    .option('--json', 'output in json format', false)
    .action(async (name, options) => {
      const feature = await ask<Feature>('GET', at('apps', await appOf(options), 'features', name))
      if (options.json) json(feature)
      else showFeature(feature)
    })
  for (const [verb, doing, enabled] of [
    ['enable', 'Enabling', true],
    ['disable', 'Disabling', false],
  ] as const)
    appCommand(program, `features:${verb}`, `${verb} a feature of an app`)
      .argument('<feature>', 'name of the feature')
      .action(async (name, options) => {
        const app = await appOf(options)
        const path = at('apps', app, 'features', name)
        await action(`${doing} ${name} for ${app}`, async () => {
          const feature = await ask<Feature>('GET', path)
          if (feature.enabled === enabled) throw new Failure(`${name} is already ${verb}d.`)
          await ask('PATCH', path, { body: { enabled } })
        })
      })
}
