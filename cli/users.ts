import { ask, list, Refused } from './api.ts'
import { action, json, say, table } from './output.ts'
import type { Program } from './program.ts'
import { attended, question } from './prompt.ts'
import { Failure } from './settings.ts'
import { examples } from './usage.ts'

/*
 * Everybody of the platform is in its one team, and its administrators are the team's. No mail is sent: who is invited, or has lost a
 * password, gets a link, which the platform shows once.
 */

interface User {
  email: string
  role: 'admin' | 'member'
  user: { name: string | null }
  created_at: string
}

interface Invitation {
  role: string
  user: { email: string }
  invited_by: { email: string }
  created_at: string
}

const ROLES = ['admin', 'member'] as const

export function register(program: Program): void {
  program
    .command('users')
    .description('list who may use this platform, and who is invited')
    .option('--json', 'output in json format')
    .action(show)
  program
    .command('users:invite')
    .alias('users:add')
    .description('invite somebody; prints the link where they choose a password')
    .argument('<email>', 'whom')
    .addOption(
      program
        .createOption('-r, --role <role>', 'what they may do')
        .choices(ROLES)
        .default('member' as const),
    )
    .option('--json', 'output in json format')
    .addHelpText(
      ...examples('$ sluice users:invite ann@example.com', '$ sluice users:invite bob@example.com --role admin'),
    )
    .action(invite)
  program
    .command('users:role')
    .description('make somebody an administrator, or a member')
    .argument('<email>', 'whom')
    .addArgument(program.createArgument('<role>', 'what they are from now on').choices(ROLES))
    .addHelpText(...examples('$ sluice users:role ann@example.com admin'))
    .action((email, role) =>
      action(`Making ${email} ${role === 'admin' ? 'an administrator' : 'a member'}`, () => setRole(email, role)),
    )
  program
    .command('users:remove')
    .description('remove an account, or take an invitation back')
    .argument('<email>', 'whose')
    .option('-c, --confirm <email>', 'say yes without being asked')
    .addHelpText(...examples('$ sluice users:remove ann@example.com'))
    .action(remove)
  program
    .command('users:reset-password')
    .description('print a link where somebody chooses a new password; that ends their sessions')
    .argument('<email>', 'whose')
    .addHelpText(...examples('$ sluice users:reset-password ann@example.com'))
    .action(async (email) => {
      await action(`Making a link for ${email}`, () => ask('POST', '/password-resets', { body: { email } }))
    })
}

/** The path of the one team that there is. */
async function team(): Promise<string> {
  const [found] = await ask<{ name: string }[]>('GET', '/teams')
  if (!found) throw new Failure('This platform has no team.')
  return `/teams/${encodeURIComponent(found.name)}`
}

async function show(choice: { json?: true }): Promise<void> {
  const path = await team()
  const [users, invitations] = [await list<User>(`${path}/members`), await invited(path)]
  if (choice.json) return json({ users, invitations })
  const rows = [
    ...users.map(({ email, role, user, created_at }) => [email, role, user.name ?? '', `since ${day(created_at)}`]),
    ...invitations.map((one) => [
      one.user.email,
      one.role,
      '',
      `invited ${day(one.created_at)} by ${one.invited_by.email}`,
    ]),
  ]
  say(table(['email', 'role', 'name', ''], rows).trimEnd())
}

/** Only administrators see them. */
const invited = (path: string): Promise<Invitation[]> =>
  list<Invitation>(`${path}/invitations`).catch((error: unknown) => {
    if (error instanceof Refused && error.status === 403) return []
    throw error
  })

const hasInvitation = async (path: string, email: string): Promise<boolean> =>
  (await invited(path)).some(({ user }) => user.email.toLowerCase() === email.toLowerCase())

/** Who has not accepted yet is invited anew: the role is the invitation's, and the link before is good no more. */
async function setRole(email: string, role: string): Promise<void> {
  const path = await team()
  const body = { email, role }
  if (await hasInvitation(path, email)) await ask('PUT', `${path}/invitations`, { body })
  else await ask('PATCH', `${path}/members`, { body })
}

const day = (time: string): string => time.slice(0, 10)

async function invite(email: string, { role, json: asJson }: { role: string; json?: true }): Promise<void> {
  const invite = async () => ask('PUT', `${await team()}/invitations`, { body: { email, role } })
  const invitation = await action(`Inviting ${email} as ${role}`, invite)
  if (asJson) json(invitation)
}

async function remove(email: string, { confirm }: { confirm?: string }): Promise<void> {
  if (confirm === undefined && !attended()) throw new Failure(`Say yes by --confirm ${email}`)
  const said = confirm ?? (await question(`This removes the account ${email}. To go on, type ${email}: `)).trim()
  if (said !== email) throw new Failure(`${said} is not ${email}. Nothing was changed.`)
  const path = await team()
  const isInvited = await hasInvitation(path, email)
  await action(`Removing ${email}`, () =>
    ask('DELETE', `${path}/${isInvited ? 'invitations' : 'members'}/${encodeURIComponent(email)}`),
  )
}
