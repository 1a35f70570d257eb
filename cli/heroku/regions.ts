import { list } from '../api.ts'
import { json } from '../output.ts'
import type { Program } from '../program.ts'
import { grid } from './table.ts'

interface Region {
  name: string
  description: string
  private_capable: boolean
}

export function register(program: Program): void {
  program
    .command('regions')
    .description('list the regions that apps can run in')
    .option('--json', 'output in json format', false)
    .action(async (options) => {
      const regions = (await list<Region>('/regions')).toSorted((a, b) => a.name.localeCompare(b.name))
      if (options.json) return json(regions)
      grid(
        {
          ID: ({ name }) => name,
          Location: ({ description }) => description,
          Runtime: ({ private_capable }) => (private_capable ? 'Private Spaces' : 'Common Runtime'),
        },
        regions,
      )
    })
}
