import { ask, list } from '../api.ts'
import { action, json, say, styled } from '../output.ts'
import type { Program } from '../program.ts'
import { at } from './command.ts'
import { grid } from './table.ts'

interface Member {
  email: string
  role: string
  status?: string
}

interface Invitation {
  role: string
  user: { email: string }
  created_at: string
  updated_at: string
}

const ROLE = 'admin, member or collaborator'

export function register(program: Program): void {
  teamCommand(program, 'members', 'list the members of a team')
    .option('-r, --role <role>', `only those with a role: ${ROLE}`)
    .option('--pending', 'only those who have not accepted yet', false)
    .option('--json', 'output in json format', false)
    .action(members)
  teamCommand(program, 'members:add', 'add an account to a team, or invite somebody')
    .argument('<email>', 'mail address')
    .requiredOption('-r, --role <role>', ROLE)
    .action(add)
  teamCommand(program, 'members:set', "set a member's role in a team")
    .argument('<email>', 'mail address')
    .requiredOption('-r, --role <role>', ROLE)
    .action((email, { team, role }) => put('PATCH', { team, email, role }))
  teamCommand(program, 'members:remove', 'remove a member from a team, or revoke an invitation')
    .argument('<email>', 'mail address')
    .action(remove)
}

const teamCommand = (program: Program, name: string, description: string) =>
  program
    .command(name)
    .description(description)
    .requiredOption('-t, --team <team>', 'team to use', process.env.HEROKU_TEAM)

interface Which {
  team: string
  role?: string | undefined
  pending: boolean
  json: boolean
}

async function members({ team, role, pending, json: asJson }: Which): Promise<void> {
  const invited = (await invitationsOf(team)).map(({ user, ...invitation }) => ({
    email: user.email,
    role: invitation.role,
    status: 'pending',
    federated: false,
    user,
    two_factor_authentication: false,
    created_at: invitation.created_at,
    updated_at: invitation.updated_at,
  }))
  const joined = (await list<Member>(at('teams', team, 'members'))).map((member) => ({ ...member, status: '' }))
  const shown = [...joined, ...invited]
    .toSorted((a, b) => a.email.localeCompare(b.email))
    .filter((member) => (!role || member.role === role) && (!pending || member.status === 'pending'))
  if (asJson) return json(shown)
  if (shown.length === 0) return say(`No members in ${team}${role ? ` with role ${role}` : ''}`)
  grid(
    {
      email: ({ email }) => styled('cyan', email),
      role: ({ role }) => role,
      ...(invited.length > 0 ? { status: ({ status }: Member) => status } : {}),
    },
    shown,
  )
}

/** Nobody is invited to a team whose members are added at once. */
async function invitationsOf(team: string): Promise<Invitation[]> {
  return (await invites(team)) ? list(at('teams', team, 'invitations')) : []
}

async function invites(team: string): Promise<boolean> {
  const { type } = await ask<{ type: string }>('GET', at('teams', team))
  if (type !== 'team') return false
  const features = await list<{ name: string; enabled: boolean }>(at('teams', team, 'features'))
  return features.some(({ name, enabled }) => name === 'team-invite-acceptance' && enabled)
}

async function add(email: string, { team, role }: { team: string; role: string }): Promise<void> {
  if (!(await invites(team))) return put('PUT', { team, email, role })
  await action(`Inviting ${email} to ${team} as ${role}`, () =>
    ask('PUT', at('teams', team, 'invitations'), { body: { email, role } }),
  )
}

async function put(method: string, member: { team: string; email: string; role: string }): Promise<void> {
  const { team, email, role } = member
  await action(`Adding ${email} to ${team} as ${role}`, () =>
    ask(method, at('teams', team, 'members'), { body: { email, role } }),
  )
}

async function remove(email: string, { team }: { team: string }): Promise<void> {
  const invited = (await invitationsOf(team)).some(({ user }) => user.email === email)
  if (invited)
    await action(`Revoking invite for ${email} in ${team}`, () =>
      ask('DELETE', at('teams', team, 'invitations', email)),
    )
  else await action(`Removing ${email} from ${team}`, () => ask('DELETE', at('teams', team, 'members', email)))
}
