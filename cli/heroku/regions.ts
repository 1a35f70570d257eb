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
    .option('--common', 'only those of the common runtime', false)
    .option('--private', 'only those of private spaces', false)
    .option('--json', 'output in json format', false)
    .action(async (options) => {
      const all = (await list<Region>('/regions')).toSorted((a, b) => a.name.localeCompare(b.name))
      const wanted = options.private ? true : options.common ? false : undefined
      const regions = all.filter(({ private_capable }) => wanted === undefined || private_capable === wanted)
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
