import { ask } from './api.ts'
import { say } from './output.ts'
import type { Program } from './program.ts'

/** What the API tells of a router. */
interface Router {
  id: string
  host: string
  address: string
  state: 'connected' | 'lost'
  workers: number
  applied_version: number
  behind: number
  last_seen_at: string
}

export function register(program: Program): void {
  program
    .command('routers')
    .description('list the routers: connected, or lost since when, and which table they follow')
    .option('--forget <id>', 'forget one that is lost')
    .action(async ({ forget }) => say((await (forget === undefined ? routers() : forgetRouter(forget))).trimEnd()))
}

/** The routers of this platform, one a line; one that is lost serves on by the table that it has, when it runs. */
async function routers(): Promise<string> {
  const list = await ask<Router[]>('GET', '/sluice/routers')
  if (list.length === 0) return 'No router has ever connected.\n'
  return list.map((router) => `${describe(router)}\n`).join('')
}

/** Forgets one that is lost. */
async function forgetRouter(id: string): Promise<string> {
  const { host } = await ask<Router>('DELETE', `/sluice/routers/${encodeURIComponent(id)}`)
  return `The router ${id} (${host}) is forgotten.\n`
}

function describe({ id, host, address, state, workers, applied_version, behind, last_seen_at }: Router): string {
  const since = state === 'lost' ? ` since ${last_seen_at}` : ''
  const table = behind === 0 ? `table ${applied_version}` : `table ${applied_version}, ${behind} behind`
  return `${id}  ${host} (${address})  ${state}${since}  ${table}  ${workers} worker${workers === 1 ? '' : 's'}`
}
