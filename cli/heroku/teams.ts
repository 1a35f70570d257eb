import { list } from '../api.ts'
import { json } from '../output.ts'
import type { Program } from '../program.ts'
import { grid } from './table.ts'

interface Team {
  name: string
  type: string
  role: string | null
}

export function register(program: Program): void {
  program
    .command('teams')
    .alias('orgs')
    .description('list the teams that you are a member of')
    .option('--enterprise', 'only enterprise teams', false)
    .option('--json', 'output in json format', false)
    .action(async (options) => {
      const all = (await list<Team>('/teams')).toSorted((a, b) => (a.name < b.name ? -1 : 1))
      const teams = all.filter(({ type }) => !options.enterprise || type === 'enterprise')
      if (options.json) json(teams)
      else grid({ Team: ({ name }) => name, Role: ({ role }) => role }, teams)
    })
}
