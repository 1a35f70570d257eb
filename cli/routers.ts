import { ask } from './api.ts'
import { json, say, table } from './output.ts'
import type { Program } from './program.ts'
import { examples } from './usage.ts'

interface Router {
  id: string
  host: string
  address: string
  state: 'connected' | 'awaited' | 'lost'
  workers: number
  applied_version: number
  behind: number
  last_seen_at: string
}

export function register(program: Program): void {
  program
    .command('routers')
    .description('list the routers: connected, or awaited by changes or lost since when, and which table they follow')
    .option('--forget <id>', 'forget one that is gone; changes wait for it no more')
    .option('--json', 'output in json format')
    .addHelpText(...examples('$ sluice routers', '$ sluice routers --forget 9f8b2c4e'))
    .action((choice) => (choice.forget === undefined ? list(choice) : forget(choice.forget, choice)))
}

/** One that is gone serves on by the table that it has, when it runs. */
async function list(choice: { json?: true }): Promise<void> {
  const routers = await ask<Router[]>('GET', '/sluice/routers')
  if (choice.json) return json(routers)
  if (routers.length === 0) return say('No router has ever connected.')
  const titles = ['id', 'host', 'address', 'state', 'table', 'workers>']
  say(table(titles, routers.map(describe)).trimEnd())
}

async function forget(id: string, choice: { json?: true }): Promise<void> {
  const router = await ask<Router>('DELETE', `/sluice/routers/${encodeURIComponent(id)}`)
  if (choice.json) json(router)
  else say(`The router ${id} (${router.host}) is forgotten.`)
}

const describe = ({ id, host, address, state, workers, applied_version, behind, last_seen_at }: Router): string[] => [
  ...[id, host, address, state === 'connected' ? state : `${state} since ${last_seen_at}`],
  ...[behind === 0 ? String(applied_version) : `${applied_version}, ${behind} behind`, String(workers)],
]
