import type { Program } from './program.ts'

/** A topic's commands: `config`, `config:set`, … */
export interface Topic {
  /** One line of `sluice help`. */
  summary: string
  /** Other first words under which its commands go. */
  also?: string[]
  /** Loaded only when its commands are asked for: most of what a command takes is the loading of code. */
  load(): Promise<{ register(program: Program): void }>
}

export const topics: Record<string, Topic> = {
  demo: { summary: 'create an app, push a sample, request it', load: () => import('./demo.ts') },
  disk: { summary: 'what holds how much disk, and removing what can go', load: () => import('./disk.ts') },
  env: { summary: 'shell exports for the heroku CLI and git', load: () => import('./env.ts') },
  image: { summary: 'release images of another registry', load: () => import('./image.ts') },
  routers: { summary: 'the routers of this platform', load: () => import('./routers.ts') },
  start: { summary: 'run the platform of this host', also: ['stop'], load: () => import('./start.ts') },
}

/** The topic that a command's first word belongs to. */
export const topicOf = (word: string): Topic | undefined => {
  const name = word.split(':')[0] ?? ''
  return topics[name] ?? Object.values(topics).find(({ also = [] }) => also.includes(name))
}
