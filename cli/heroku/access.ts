import { ask, list, Refused } from '../api.ts'
import { appOf } from '../app.ts'
import { action, json, styled } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { appCommand, at } from './command.ts'
import { grid } from './table.ts'

interface App {
  name: string
  team: { name: string } | null
}
interface Permission {
  name: string
}
interface Collaborator {
  role?: string
  user: { email: string }
  permissions?: Permission[]
}

export function register(program: Program): void {
  appCommand(program, 'access', 'list who has access to an app')
    .option('--json', 'output in json format', false)
    .action(async (options) => access(await appOf(options), options.json))
  appCommand(program, 'access:add', 'give somebody access to an app')
    .argument('<email>', 'mail address of the account')
    .option('-p, --permissions <permissions>', 'on a team app, comma-separated: deploy,manage,operate')
    .action(async (email, options) => add(await appOf(options), email, options.permissions))
  appCommand(program, 'access:update', 'change what somebody may do on a team app')
    .argument('<email>', 'mail address of the account')
    .requiredOption('-p, --permissions <permissions>', 'comma-separated: deploy,manage,operate')
    .action(async (email, options) => update(await appOf(options), email, options.permissions))
  appCommand(program, 'access:remove', "take somebody's access to an app away")
    .argument('<email>', 'mail address of the account')
    .action(async (email, options) => {
      const app = await appOf(options)
      await action(`Removing ${email} access from the app ${app}`, () =>
        ask('DELETE', at('apps', app, 'collaborators', email)),
      )
    })
}

async function access(named: string, asJson: boolean): Promise<void> {
  const [{ team }, collaborators] = await Promise.all([
    ask<App>('GET', at('apps', named)),
    list<Collaborator>(at('apps', named, 'collaborators')),
  ])
  const all = team ? await withAdmins(team.name, collaborators) : collaborators
  if (asJson) return json(all)
  const shown = all
    .filter(({ user }) => !user.email.endsWith('herokumanager.com'))
    .toSorted((a, b) => (a.user.email < b.user.email ? -1 : 1))
  grid(
    {
      email: ({ user }) => styled('cyan', user.email),
      role: ({ role }) => role || 'collaborator',
      ...(shown.some(({ permissions }) => permissions !== undefined) ? { permissions: permissionsOf } : {}),
    },
    shown,
  )
}

const permissionsOf = ({ permissions = [] }: Collaborator): string =>
  permissions
    .map(({ name }) => name)
    .sort()
    .join(', ')

/** A team's admins may do everything with its apps; who may not see the team's members sees the collaborators only. */
async function withAdmins(team: string, collaborators: Collaborator[]): Promise<Collaborator[]> {
  try {
    const members = await list<{ email: string; role: string }>(at('teams', team, 'members'))
    const permissions = await list<Permission>('/teams/permissions')
    const admins = members
      .filter(({ role }) => role === 'admin')
      .map((member) => ({ ...member, user: { email: member.email }, permissions }))
    return [...collaborators.filter(({ role }) => role !== 'admin'), ...admins]
  } catch (error) {
    if (error instanceof Refused && error.status === 403) return collaborators
    throw error
  }
}

async function add(named: string, email: string, permissions: string | undefined): Promise<void> {
  const { team } = await ask<App>('GET', at('apps', named))
  const text = `Adding ${email} access to the app ${named}`
  if (!team) {
    await action(text, () => ask('POST', at('apps', named, 'collaborators'), { body: { user: email } }))
    return
  }
  if (!permissions) throw new Failure('Missing argument: permissions')
  const all = withView(permissions)
  await action(`${text} with ${all.join(', ')} permissions`, () =>
    ask('POST', at('teams', 'apps', named, 'collaborators'), { body: { permissions: all, user: email } }),
  )
}

async function update(named: string, email: string, text: string): Promise<void> {
  const { team } = await ask<App>('GET', at('apps', named))
  if (!team) throw new Failure(`Error: cannot update permissions. The app ${named} is not owned by a team`, 2)
  const permissions = withView(text)
  await action(`Updating ${email} in application ${named} with ${permissions} permissions`, () =>
    ask('PATCH', at('teams', 'apps', named, 'collaborators', email), { body: { permissions } }),
  )
}

/** To see an app is part of everything that one may do with it. */
const withView = (permissions: string): string[] => [...new Set([...permissions.split(','), 'view'])].sort()
