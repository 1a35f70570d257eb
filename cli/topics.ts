import { herokuTopics } from './heroku/topics.ts'
import type { Program } from './program.ts'

/** A topic's commands: `config`, `config:set`, … */
export interface Topic {
  /** One line of `sluice help`. */
  summary: string
  /** Other first words under which its commands go. */
  also?: string[]
  /** What follows is not ours but a dyno's, as after `run`: blanks make no longer name of it. */
  verbatim?: true
  /** Loaded only when its commands are asked for: most of what a command takes is the loading of code. */
  load(): Promise<{ register(program: Program): void }>
}

const own: Record<string, Topic> = {
  auth: {
    summary: 'log in to a platform, log out, who is logged in',
    also: ['2fa', 'login', 'logout', 'twofactor', 'whoami'],
    load: () => import('./auth.ts'),
  },
  backup: { summary: 'backups of the whole platform', also: ['backups'], load: () => import('./backup.ts') },
  completion: {
    summary: 'completion of command lines in bash, zsh and fish',
    also: ['autocomplete'],
    load: () => import('./completion.ts'),
  },
  demo: { summary: 'create an app, push a sample, request it', load: () => import('./demo.ts') },
  disk: {
    summary: 'what holds how much disk, and removing what can go',
    also: ['gc'],
    load: () => import('./disk.ts'),
  },
  doctor: { summary: 'whether host and platform are well', load: () => import('./doctor.ts') },
  env: { summary: 'shell exports for the heroku CLI and git', load: () => import('./env.ts') },
  git: { summary: 'git remotes of apps, clones of them', load: () => import('./git.ts') },
  host: { summary: 'configs of hosts that boot into a platform', load: () => import('./host.ts') },
  image: { summary: 'release images by their digests', load: () => import('./image.ts') },
  init: { summary: 'the first steps on a host', load: () => import('./init.ts') },
  nodes: { summary: 'the machines of this platform', load: () => import('./nodes.ts') },
  open: { summary: 'open the app in a web browser', also: ['apps:open'], load: () => import('./open.ts') },
  restore: { summary: 'restore a backup on an empty host', load: () => import('./restore.ts') },
  routers: { summary: 'the routers of this platform', load: () => import('./routers.ts') },
  start: { summary: 'run the platform of this host', also: ['stop'], load: () => import('./start.ts') },
  status: { summary: 'how the platform does', load: () => import('./status.ts') },
  users: { summary: 'who may use this platform: invite, roles, remove', load: () => import('./users.ts') },
  version: { summary: 'which sluice this is', load: () => import('./version.ts') },
}

export const topics: Record<string, Topic> = Object.fromEntries(
  Object.entries({ ...herokuTopics, ...own }).toSorted(([a], [b]) => (a < b ? -1 : 1)),
)

/** The topic that a command's first word belongs to. */
export function topicOf(word: string): Topic | undefined {
  const named = (name: string) => topics[name] ?? Object.values(topics).find(({ also = [] }) => also.includes(name))
  return Object.values(topics).find(({ also = [] }) => also.includes(word)) ?? named(word.split(':')[0] ?? '')
}
