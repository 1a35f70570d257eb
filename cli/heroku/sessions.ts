import { ask, list } from '../api.ts'
import { action, json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { at } from './command.ts'
import { grid } from './table.ts'

interface Session {
  id: string
  description: string | null
}

export function register(program: Program): void {
  program
    .command('sessions')
    .description('list where you are logged in')
    .option('-j, --json', 'output in json format', false)
    .action(async (options) => {
      const all = await list<Session>('/oauth/sessions')
      const sorted = all.toSorted((a, b) => (a.description ?? '').localeCompare(b.description ?? ''))
      if (options.json) json(sorted)
      else if (sorted.length === 0) say('No OAuth sessions.')
      else grid({ Description: ({ description }) => description, ID: ({ id }) => id }, sorted)
    })
  program
    .command('sessions:destroy')
    .description('log a session out')
    .argument('<id>', 'id of the session')
    .action(async (id) => {
      await action(`Destroying ${id}`, () => ask('DELETE', at('oauth', 'sessions', id)))
    })
}
