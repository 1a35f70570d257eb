import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { action, warn } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { appCommand, at } from './command.ts'
import { confirm, several } from './confirm.ts'

interface App {
  name: string
  locked?: boolean
  owner: { email: string }
  team: { name: string } | null
}

const me = (): Promise<{ email: string }> => ask('GET', '/account')

/** In whose hands an app is: joining, leaving, locking, transferring. */
export function registerHands(program: Program): void {
  appCommand(program, 'apps:join', 'add yourself to a team app')
    .alias('join')
    .action(async (options) => {
      const app = await appOf(options)
      await action(`Joining ${app}`, async () => {
        const { email } = await me()
        await ask('POST', at('teams', 'apps', app, 'collaborators'), { body: { user: email } })
      })
    })
  appCommand(program, 'apps:leave', 'remove yourself from an app')
    .alias('leave')
    .action(async (options) => {
      const app = await appOf(options)
      const { email } = await me()
      await action(`Leaving ${app}`, () => ask('DELETE', at('apps', app, 'collaborators', email)))
    })
  appCommand(program, 'apps:lock', 'prevent team members from joining an app')
    .alias('lock')
    .action(async (options) => lock(await appOf(options)))
  appCommand(program, 'apps:unlock', 'unlock an app so that any team member can join')
    .alias('unlock')
    .action(async (options) => unlock(await appOf(options)))
  appCommand(program, 'apps:transfer', 'transfer an app to another user or team')
    .argument('<recipient>', 'mail address of a user, or name of a team')
    .option('-l, --locked', 'lock the app upon transfer', false)
    .option('-c, --confirm <app>', 'name of the app, instead of typing it')
    .option('--bulk', 'choose the apps from a list', false)
    .action(async (recipient, options) => {
      if (options.bulk) return transferSeveral(recipient)
      const app = await transfer(await appOf(options), recipient, options.confirm)
      if (options.locked) await lock(app)
    })
}

async function lock(app: string): Promise<void> {
  const { name, locked } = await ask<App>('GET', at('teams', 'apps', app))
  if (locked) throw new Failure(`Error: cannot lock ${name}.\nThis app is already locked.`)
  await action(`Locking ${name}`, () => ask('PATCH', at('teams', 'apps', name), { body: { locked: true } }))
}

async function unlock(app: string): Promise<void> {
  const { name, locked } = await ask<App>('GET', at('teams', 'apps', app))
  if (!locked) throw new Failure(`cannot unlock ${name}\nThis app is not locked.`)
  await action(`Unlocking ${name}`, () => ask('PATCH', at('teams', 'apps', name), { body: { locked: false } }))
}

/** Those that are chosen at the terminal, one after the other, up to the first that is refused. */
async function transferSeveral(recipient: string): Promise<void> {
  const apps = (await list<App>('/apps')).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const labels = apps.map(({ name, owner }) => `${name} (${owner.email.replace(/@herokumanager\.com$/, '')})`)
  const picked = await several(
    'Select applications you would like to transfer',
    labels,
    `There is no terminal to choose apps at. Transfer one: sluice apps:transfer ${recipient} --app APP`,
  )
  warn(`Transferring applications to ${recipient}...`)
  for (const n of picked) await give(apps[n] as App, recipient)
}

/** The app's name. */
async function transfer(app: string, recipient: string, confirmed: string | undefined): Promise<string> {
  const found = await ask<App>('GET', at('apps', app))
  if (isPerson(recipient) && found.team)
    await confirm(found.name, confirmed, 'All collaborators will be removed from this app')
  await give(found, recipient, ` to ${recipient}`)
  return found.name
}

const isPerson = (recipient: string): boolean => recipient.includes('@')

/** From one person to another it waits for the other's consent; a team has it at once. */
async function give({ name, team }: App, recipient: string, told = ''): Promise<void> {
  if (isPerson(recipient) && !team)
    await action(`Initiating transfer of ${name}${told}`, async (tell) => {
      const body = { app: name, recipient }
      const { state } = await ask<{ state: string }>('POST', '/account/app-transfers', { body })
      if (state === 'pending') tell('email sent')
    })
  else
    await action(`Transferring ${name}${told}`, () =>
      ask('PATCH', at('teams', 'apps', name), { body: { owner: recipient } }),
    )
}
