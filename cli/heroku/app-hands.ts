import { ask } from '../api.ts'
import { appOf } from '../app.ts'
import { action } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { appCommand, at } from './command.ts'
import { confirm } from './confirm.ts'

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
    .action(async (recipient, options) => {
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

/** From one person to another it waits for the other's consent; a team has it at once. The app's name. */
async function transfer(app: string, recipient: string, confirmed: string | undefined): Promise<string> {
  const { name, team } = await ask<App>('GET', at('apps', app))
  const person = recipient.includes('@')
  if (person && team) await confirm(name, confirmed, 'All collaborators will be removed from this app')
  if (person && !team)
    await action(`Initiating transfer of ${name} to ${recipient}`, async (tell) => {
      const body = { app: name, recipient }
      const { state } = await ask<{ state: string }>('POST', '/account/app-transfers', { body })
      if (state === 'pending') tell('email sent')
    })
  else
    await action(`Transferring ${name} to ${recipient}`, () =>
      ask('PATCH', at('teams', 'apps', name), { body: { owner: recipient } }),
    )
  return name
}
