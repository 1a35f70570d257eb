import type { Topic } from '../topics.ts'

/** The everyday topics of the official CLI. */
export const herokuTopics: Record<string, Topic> = {
  access: { summary: 'who may do what with an app', load: () => import('./access.ts') },
  apps: {
    summary: 'create, show, rename, transfer and destroy apps',
    also: ['create', 'destroy', 'info', 'join', 'leave', 'list', 'lock', 'rename', 'stack', 'stacks', 'unlock'],
    load: () => import('./apps.ts'),
  },
  authorizations: { summary: 'tokens for programs', load: () => import('./authorizations.ts') },
  buildpacks: { summary: 'what an app is built with', load: () => import('./buildpacks.ts') },
  certs: { summary: 'SSL certificates, your own and automatic ones', load: () => import('./certs.ts') },
  ci: { summary: 'config vars of whatever tests the apps of a pipeline', load: () => import('./ci.ts') },
  clients: { summary: 'OAuth clients, which act for people', load: () => import('./clients.ts') },
  config: { summary: 'the config vars of an app', load: () => import('./config.ts') },
  domains: { summary: 'the domains of an app', load: () => import('./domains.ts') },
  drains: { summary: 'where the logs of an app go', load: () => import('./drains.ts') },
  features: { summary: 'features of an app', load: () => import('./features.ts') },
  keys: { summary: 'your SSH keys', load: () => import('./keys.ts') },
  labs: { summary: 'experimental features', load: () => import('./labs.ts') },
  logs: { summary: 'the logs of an app', load: () => import('./logs.ts') },
  maintenance: { summary: 'take an app out of service, and back', load: () => import('./maintenance.ts') },
  members: { summary: 'the members of a team', load: () => import('./members.ts') },
  pipelines: { summary: 'apps in stages, and promotion from one to the next', load: () => import('./pipelines.ts') },
  ps: {
    summary: 'dynos: list, scale, restart, stop',
    also: ['dyno', 'kill', 'resize', 'restart', 'scale'],
    load: () => import('./ps.ts'),
  },
  regions: { summary: 'where apps can run', load: () => import('./regions.ts') },
  releases: {
    summary: 'the releases of an app, and the way back',
    also: ['rollback'],
    load: () => import('./releases.ts'),
  },
  reviewapps: { summary: 'apps of branches, to look at', load: () => import('./reviewapps.ts') },
  run: { summary: 'run a one-off process', verbatim: true, load: () => import('./run.ts') },
  sessions: { summary: 'where you are logged in', load: () => import('./sessions.ts') },
  teams: { summary: 'the teams that you are in', also: ['orgs'], load: () => import('./teams.ts') },
  webhooks: { summary: 'tell other services what happens to an app', load: () => import('./webhooks.ts') },
}
