import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { action, header, json, say, styled } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { appCommand, at } from './command.ts'
import { grid } from './table.ts'

interface Formation {
  type: string
  quantity: number
  size: string
}

interface Change {
  type: string
  quantity?: string | undefined
  size?: string | undefined
}

/** How many dynos of each process type there are, and how large. */
export function registerFormation(program: Program): void {
  appCommand(program, 'ps:scale', 'scale dyno quantity up or down; without words, show the formation')
    .aliases(['scale', 'dyno:scale'])
    .argument('[changes...]', 'TYPE=QUANTITY, TYPE+QUANTITY or TYPE-QUANTITY, with :SIZE if you like')
    .option('--json', 'output in json format', false)
    .action(async (words, options) => scale(await appOf(options), words, options.json))
  appCommand(program, 'ps:type', 'show the sizes of dynos, or set them')
    .aliases(['ps:resize', 'resize', 'dyno:type', 'dyno:resize'])
    .argument('[changes...]', 'SIZE, or TYPE=SIZE ...')
    .option('--json', 'output in json format', false)
    .action(async (words, options) => resize(await appOf(options), words, options.json))
}

const formationOf = (app: string): Promise<Formation[]> => list(at('apps', app, 'formation'))

async function existing(app: string): Promise<Formation[]> {
  const formation = await formationOf(app)
  if (formation.length > 0) return formation
  throw new Failure(`No process types on ${app}.\nUpload a Procfile to add process types.`)
}

const update = (app: string, updates: Change[]): Promise<Formation[]> =>
  ask('PATCH', at('apps', app, 'formation'), { body: { updates } })

async function scale(app: string, words: string[], asJson: boolean): Promise<void> {
  if (words.length === 0) {
    const formation = await existing(app)
    if (asJson) return json(formation)
    return say(formation.map(described).sort().join(' '))
  }
  const changes = words.map(parsed)
  const formation = await action('Scaling dynos', async (tell) => {
    const changed = (await update(app, changes)).filter(({ type }) => changes.some((change) => change.type === type))
    tell(`done, now running ${changed.map(({ type, quantity, size }) => `${type} at ${quantity}:${size}`).join(', ')}`)
    return changed
  })
  if (asJson) json(formation)
}

const described = ({ type, quantity, size }: Formation): string => `${type}=${quantity}:${size}`

/** `web=3`, `worker+1`, `clock-1:Standard-1X`. */
function parsed(word: string): Change {
  const [, type, quantity, size] = /^([\w-]+?)([=+-]\d+)(?::([\w-]+))?$/.exec(word) ?? []
  if (type === undefined || quantity === undefined)
    throw new Failure(`${word} is no change of a process type. Write it as web=2, web+1 or web=2:Standard-2X.`)
  return { type, quantity: quantity.replace('=', ''), size }
}

async function resize(app: string, words: string[], asJson: boolean): Promise<void> {
  if (words.length > 0) {
    const changes = sizes(words, await formationOf(app))
    if (changes.length > 0) await action(`Scaling dynos on ${app}`, () => update(app, changes))
  }
  const formation = (await existing(app)).toSorted((a, b) => (a.type < b.type ? -1 : 1))
  if (asJson) return json(formation)
  header('Process Types')
  grid(
    { type: ({ type }) => styled('cyan', type), size: ({ size }) => size, qty: ({ quantity }) => quantity },
    formation,
  )
  say('')
  header('Dyno Totals')
  const totals = new Map<string, number>()
  for (const { size, quantity } of formation) totals.set(size, (totals.get(size) ?? 0) + quantity)
  grid({ type: ([size]) => size, total: ([, quantity]) => quantity }, [...totals])
}

function sizes(words: string[], formation: Formation[]): Change[] {
  const [first = ''] = words
  if (!words.some((word) => word.includes('='))) return formation.map(({ type }) => ({ type, size: first }))
  return words.map((word) => {
    const [, type = '', size] = /^([\w-]+)=([\w-]+)$/.exec(word) ?? []
    if (size === undefined || !formation.some((one) => one.type === type))
      throw new Failure(
        `Type ${type} not found in process formation.\nTypes: ${formation.map((one) => one.type).join(', ')}`,
      )
    return { type, size }
  })
}
