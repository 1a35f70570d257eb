import type { Walk } from './walk.ts'
import { invitationOf } from './walk-account.ts'

const friend = 'friend@example.com'

export async function walkTeam({ ask, all, invite }: Walk): Promise<void> {
  await invite('colleague@example.com')
  const asked = { email: 'asked@example.com', role: 'member' }
  const token = invitationOf(await ask('PUT', '/teams/sluice/invitations', asked))
  await all([
    ['GET', '/teams'],
    ['GET', '/teams/sluice'],
    ['PATCH', '/teams/sluice', { name: 'walkers' }],
    ['PATCH', '/teams/walkers', { name: 'sluice' }],
    ['GET', '/teams/permissions'],
    ['GET', '/teams/sluice/features'],
    ['GET', '/teams/sluice/features/org-access-controls'],
    ['GET', '/teams/sluice/delinquency'],
    ['GET', '/teams/sluice/invitations'],
    ['GET', `/teams/invitations/${token}`],
    ['DELETE', '/teams/sluice/invitations/asked@example.com'],
    ['POST', '/teams/sluice/members', { email: 'new@example.com', role: 'member' }],
    ['PUT', '/teams/sluice/members', { email: 'colleague@example.com', role: 'admin' }],
    ['PATCH', '/teams/sluice/members', { email: 'colleague@example.com', role: 'member' }],
    ['GET', '/teams/sluice/members'],
    ['DELETE', '/teams/sluice/members/colleague@example.com'],
  ])
}

export async function walkTeamApps({ all }: Walk): Promise<void> {
  await all([
    ['POST', '/teams/apps', { name: 'walk-team', team: 'sluice' }],
    ['GET', '/teams/apps/walk-team'],
    ['PATCH', '/teams/apps/walk-team', { locked: true }],
    ['GET', '/teams/sluice/apps'],
    ['POST', '/teams/apps/walk-team/collaborators', { user: friend, permissions: ['view'] }],
    ['GET', '/teams/apps/walk-team/collaborators'],
    ['GET', `/teams/apps/walk-team/collaborators/${friend}`],
    ['PATCH', `/teams/apps/walk-team/collaborators/${friend}`, { permissions: ['view', 'deploy'] }],
    ['GET', `/teams/sluice/members/${friend}/apps`],
    ['DELETE', `/teams/apps/walk-team/collaborators/${friend}`],
  ])
}
