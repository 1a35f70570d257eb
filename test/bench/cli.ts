import { join } from 'node:path'
import { packageRoot } from '../../daemon/config.ts'
import { type Rig, startRig } from '../cli/rig.ts'
import { main } from '../cli/sluice.ts'
import { type Row, table } from './table.ts'

/**
 * How long a command takes from Enter to its end, beside the official CLI and beside Node with nothing to do, in turns, so that what else the
 * machine does falls on all alike. The API is real, over a database with one app.
 */
export async function measureCli(print: (line: string) => void, rounds = 15): Promise<void> {
  const rig = await startRig()
  try {
    await rig.host.request('POST', '/apps', { body: { name: 'bench' } })
    await rig.host.request('PATCH', '/apps/bench/config-vars', { body: { A: '1', B: '2' } })
    const heroku = join(packageRoot, 'node_modules', 'heroku', 'bin', 'run.js')
    const config = ['config', '-a', 'bench']
    const lines: Record<string, string[]> = {
      'node, an empty file': ['-e', ''],
      'sluice version': [main, 'version'],
      'heroku version': [heroku, 'version'],
      'sluice config': [main, ...config],
      'heroku config': [heroku, ...config],
    }
    const taken = Object.keys(lines).map((what) => ({ what, wall: [] as number[], cpu: [] as number[] }))
    for (let round = -1; round < rounds; round++)
      for (const row of taken) {
        const { wall, cpu } = await time(rig, lines[row.what] ?? [])
        // the first round reads files that the machine does not have at hand yet
        if (round >= 0) row.wall.push(wall)
        if (round >= 0) row.cpu.push(cpu)
      }
    const rows = (key: 'wall' | 'cpu'): Row[] => taken.map((row) => ({ what: row.what, runs: row[key] }))
    print(`from Enter to the end\n${table(rows('wall'))}\n`)
    print(`processor time\n${table(rows('cpu'))}\n`)
  } finally {
    await rig.close()
  }
}

async function time({ execute, host }: Rig, words: string[]): Promise<{ wall: number; cpu: number }> {
  const script = 'TIMEFORMAT="%R %U %S"; time "$@" >/dev/null'
  const env = { SLUICE_API_URL: host.url, SLUICE_API_KEY: host.token }
  const { code, err } = await execute('bash', ['-c', script, 'bash', process.execPath, ...words], { env })
  const [, real, user, system] = /^([\d.]+) ([\d.]+) ([\d.]+)$/m.exec(err) ?? []
  if (code !== 0 || real === undefined) throw new Error(`${words.join(' ')} failed: ${err}`)
  return { wall: Number(real) * 1000, cpu: (Number(user) + Number(system)) * 1000 }
}
