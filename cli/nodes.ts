import { ask } from './api.ts'
import { json, say, table } from './output.ts'
import type { Program } from './program.ts'
import { ram } from './status.ts'
import { examples } from './usage.ts'

/** Bytes. */
interface Node {
  host: string
  engine_version: string | null
  cores: number
  memory: number
  memory_available: number
  dynos: number
  up_since: string
}

export const register = (program: Program): void =>
  void program
    .command('nodes')
    .description('the machines that dynos run on')
    .option('--json', 'output in json format; sizes are bytes')
    .addHelpText(...examples('$ sluice nodes', '$ sluice nodes --json'))
    .action(async (choice) => {
      const nodes = await ask<Node[]>('GET', '/sluice/nodes')
      if (choice.json) return json(nodes)
      const titles = ['host', 'engine', 'cores>', 'memory>', 'free>', 'dynos>', 'up since']
      say(table(titles, nodes.map(describe)).trimEnd())
    })

const describe = (node: Node): string[] => [
  ...[node.host, node.engine_version ?? 'does not answer', String(node.cores)],
  ...[ram(node.memory), ram(node.memory_available), String(node.dynos), node.up_since],
]
