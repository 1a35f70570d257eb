import { ask } from '../api.ts'
import { appOf, appOption, perhapsAppOf, remoteOption } from '../app.ts'
import { action, json, say, warn } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { appCommand, at } from './command.ts'
import { confirm } from './confirm.ts'
import { readManifest } from './manifest.ts'
import { addRemote, gitUrl, moveRemotes } from './remote.ts'

interface App {
  name: string
  web_url: string
  region: { name: string }
  stack: { name: string }
}

/** An app's beginning, its names and its end. */
export function registerLife(program: Program): void {
  program
    .command('apps:create')
    .alias('create')
    .description('create a new app, and a git remote for it')
    .argument('[app]', 'name of the app; without one it gets one')
    .option('--app <app>', 'the same')
    .option('-b, --buildpack <buildpack>', 'buildpack to use')
    .option('-r, --remote <remote>', 'the git remote to create', 'heroku')
    .option('-n, --no-remote', 'create no git remote')
    .option('-s, --stack <stack>', 'the stack to create the app on')
    .option('--region <region>', 'the region for the app to run in')
    .option('-t, --team <team>', 'team to use', process.env.HEROKU_TEAM)
    .option('--addons <addons>', 'there are no add-ons on this platform')
    .option('-m, --manifest', 'take stack and config vars from heroku.yml here', false)
    .option('--json', 'output in json format', false)
    .action(create)
  program
    .command('apps:destroy')
    .aliases(['destroy', 'apps:delete'])
    .description('permanently destroy an app')
    .argument('[app]', 'name of the app')
    .addOption(appOption)
    .addOption(remoteOption)
    .option('-c, --confirm <app>', 'name of the app, instead of typing it')
    .action(destroy)
  appCommand(program, 'apps:rename', 'rename an app, and update its git remotes here')
    .alias('rename')
    .argument('<newname>', 'new unique name of the app')
    .action(async (name, options) => rename(await appOf(options), name))
}

interface Wanted {
  app?: string | undefined
  buildpack?: string | undefined
  remote: string | boolean
  stack?: string | undefined
  region?: string | undefined
  team?: string | undefined
  addons?: string | undefined
  manifest: boolean
  json: boolean
}

async function create(named: string | undefined, options: Wanted): Promise<void> {
  const { buildpack, region, team, remote } = options
  if (options.addons) throw new Failure('There are no add-ons on this platform. Create the app without --addons.')
  const manifest = options.manifest ? await action('Reading heroku.yml manifest', readManifest) : undefined
  const stack = manifest ? 'container' : options.stack
  const name = options.app ?? named ?? process.env.HEROKU_APP
  const app = await action(`Creating ${name ?? 'app'}`, async (tell) => {
    const app = await ask<App>('POST', team ? '/teams/apps' : '/apps', { body: { name, region, stack, team } })
    const details = [!name && app.name, region && `region is ${app.region.name}`, stack && `stack is ${app.stack.name}`]
    tell(['done', ...details.filter(Boolean)].join(', '))
    return app
  })
  if (manifest && Object.keys(manifest.config).length > 0)
    await action('Setting config vars', () =>
      ask('PATCH', at('apps', app.name, 'config-vars'), { body: manifest.config }),
    )
  if (buildpack)
    await action(`Setting buildpack to ${buildpack}`, () =>
      ask('PUT', at('apps', app.name, 'buildpack-installations'), { body: { updates: [{ buildpack }] } }),
    )
  if (typeof remote === 'string') await addRemote(remote, app.name)
  if (options.json) return json(app)
  say(`${app.web_url} | ${await gitUrl(app.name)}`)
}

interface Doomed {
  app?: string | undefined
  remote?: string | undefined
  confirm?: string | undefined
}

async function destroy(named: string | undefined, options: Doomed): Promise<void> {
  const app = named ?? (await perhapsAppOf(options))
  if (app === undefined) throw new Failure('No app specified.\nUSAGE: sluice apps:destroy APPNAME')
  await ask('GET', at('apps', app))
  await confirm(app, options.confirm, `This will delete ${app} including all add-ons.`)
  await action(`Destroying ${app} (including all add-ons)`, async () => {
    await ask('DELETE', at('apps', app))
    await moveRemotes(app)
  })
}

async function rename(from: string, to: string): Promise<void> {
  const app = await action(`Renaming ${from} to ${to}`, () =>
    ask<App>('PATCH', at('apps', from), { body: { name: to } }),
  )
  say(`${app.web_url} | ${await gitUrl(app.name)}`)
  for (const name of await moveRemotes(from, app.name)) say(`Git remote ${name} updated`)
  warn("Don't forget to update git remotes for all other local checkouts of the app.")
}
