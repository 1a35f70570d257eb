import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { action, header, json, say, styled } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { ago } from './ago.ts'
import { appCommand, at, exclusive } from './command.ts'
import { registerFormation } from './formation.ts'
import { registerExec } from './ps-exec.ts'
import { registerWait } from './ps-wait.ts'

export interface Dyno {
  name: string
  type: string
  size: string
  state: string
  command: string
  updated_at: string
  release: { version: number }
}

export const dynosOf = (app: string): Promise<Dyno[]> => list(at('apps', app, 'dynos'))

export function register(program: Program): void {
  appCommand(program, 'ps', 'list the dynos of an app')
    .alias('ps:list')
    .argument('[types...]', 'process types; all by default')
    .option('--json', 'output in json format', false)
    .option('--no-wrap', 'never wrapped here')
    .action(async (types, options) => ps(await appOf(options), types, options.json))
  whichDynos(program, 'ps:restart', 'restart dynos: one, those of a process type, or all')
    .aliases(['restart', 'dyno:restart'])
    .action(async (dyno, options) => restart(await appOf(options), chosen(dyno, options)))
  whichDynos(program, 'ps:stop', 'stop dynos: one, or those of a process type')
    .aliases(['ps:kill', 'dyno:stop', 'dyno:kill', 'kill'])
    .action(async (dyno, options) => stop(await appOf(options), chosen(dyno, options)))
  registerFormation(program)
  registerExec(program)
  registerWait(program)
}

const whichDynos = (program: Program, name: string, description: string) =>
  appCommand(program, name, description)
    .argument('[dyno]', 'the same as --dyno-name')
    .option('-d, --dyno-name <dyno>', 'name of a dyno')
    .option('-p, --process-type <type>', 'a process type')

async function ps(app: string, types: string[], asJson: boolean): Promise<void> {
  const all = await dynosOf(app)
  const none = types.find((type) => !all.some((dyno) => dyno.type === type))
  if (none !== undefined) throw new Failure(`No ${none} dynos on ${app}`)
  const dynos = all.filter(({ type }) => types.length === 0 || types.includes(type)).toSorted(byName)
  if (asJson) return json(dynos)
  if (dynos.length === 0) return say(`No dynos on ${app}.`)
  show(dynos)
}

const numberOf = ({ name }: Dyno): number => Number(/\.(\d+)$/.exec(name)?.[1] ?? 0)
const byName = (a: Dyno, b: Dyno): number => (a.type === b.type ? numberOf(a) - numberOf(b) : a.type > b.type ? 1 : -1)

/** One-off dynos first, then those of the formation by their command. */
function show(dynos: Dyno[]): void {
  const oneOffs = dynos.filter(({ type }) => type === 'run')
  if (oneOffs.length > 0) {
    header(`run: one-off processes (${oneOffs.length})`)
    for (const dyno of oneOffs) say(`${dyno.name} (${dyno.size}): ${state(dyno)}: ${dyno.command}`)
    say('')
  }
  const commands = new Set(dynos.filter(({ type }) => type !== 'run').map(({ command }) => command))
  for (const command of commands) {
    const group = dynos.filter((dyno) => dyno.command === command)
    header(`${group[0]?.type} (${group[0]?.size}): ${command} (${group.length})`)
    for (const dyno of group) say(`${dyno.name}: ${state(dyno)}`)
    say('')
  }
}

const state = ({ state, updated_at }: Dyno): string =>
  `${styled(state === 'up' ? 'green' : 'yellow', state)} ${styled('gray', ago(updated_at))}`

interface Which {
  dyno?: string | undefined
  type?: string | undefined
}

function chosen(
  word: string | undefined,
  flags: { dynoName?: string | undefined; processType?: string | undefined },
): Which {
  const { dynoName, processType } = flags
  exclusive({ 'dyno-name': dynoName, 'process-type': processType })
  return { dyno: dynoName ?? word, type: processType }
}

async function restart(app: string, { dyno, type }: Which): Promise<void> {
  if (type) await act(`Restarting all ${type} dynos on ${app}`, 'DELETE', at('apps', app, 'formations', type))
  else if (dyno) await act(`Restarting dyno ${dyno} on ${app}`, 'DELETE', at('apps', app, 'dynos', dyno))
  else await act(`Restarting all dynos on ${app}`, 'DELETE', at('apps', app, 'dynos'))
}

async function stop(app: string, { dyno, type }: Which): Promise<void> {
  if (type)
    await act(`Stopping all ${type} dynos on ${app}`, 'POST', at('apps', app, 'formations', type, 'actions', 'stop'))
  else if (dyno) await act(`Stopping dyno ${dyno} on ${app}`, 'POST', at('apps', app, 'dynos', dyno, 'actions', 'stop'))
  else throw new Failure('Please specify a process type or dyno name to stop.\nSee more help with --help', 2)
}

const act = (message: string, method: string, path: string): Promise<unknown> =>
  action(message, () => ask(method, path))
