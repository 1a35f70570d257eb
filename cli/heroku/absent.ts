import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'

/** What Heroku's CLI has and this one has not: its commands, and what there is instead. */
const ABSENT: Record<string, { commands: string[]; why: string }> = {
  addons: {
    commands: ['attach', 'create', 'destroy', 'detach', 'docs', 'info', 'open', 'plans', 'services', 'upgrade', 'wait'],
    why: 'There are no add-ons on this platform. Run a database elsewhere, and give the app its URL: sluice config:set.',
  },
  ci: {
    commands: ['config', 'debug', 'info', 'last', 'open', 'rerun', 'run'],
    why: 'There is no CI on this platform. Have your own push with git, or promote through a pipeline: sluice help pipelines.',
  },
  container: {
    commands: ['login', 'logout', 'pull', 'push', 'release', 'rm', 'run'],
    why: 'Images are pushed with Docker or the heroku CLI: eval "$(sluice env --containers)", then heroku container:push.',
  },
  pg: {
    commands: ['backups', 'credentials', 'info', 'promote', 'psql', 'reset', 'wait'],
    why: 'There are no databases on this platform. Run one elsewhere, and give the app its URL: sluice config:set DATABASE_URL=...',
  },
  redis: {
    commands: ['cli', 'credentials', 'info', 'promote', 'wait'],
    why: 'There is no Redis on this platform. Run one elsewhere, and give the app its URL: sluice config:set REDIS_URL=...',
  },
  spaces: {
    commands: ['create', 'destroy', 'info', 'ps', 'rename', 'transfer', 'wait'],
    why: 'There are no private spaces on this platform: it is private as a whole.',
  },
}

export function register(program: Program): void {
  for (const [name, { commands, why }] of Object.entries(ABSENT))
    registerAbsent(program, [name, ...commands.map((command) => `${name}:${command}`)], why)
}

export function registerAbsent(program: Program, [name = '', ...aliases]: string[], why: string): void {
  program
    .command(name)
    .aliases(aliases)
    .description(why)
    .argument('[words...]', 'whatever it would be given')
    .allowUnknownOption()
    .action(() => {
      throw new Failure(why)
    })
}
