import { Option } from '@commander-js/extra-typings'
import { ask } from '../api.ts'
import { type AppChoice, perhapsAppOf } from '../app.ts'
import { USAGE } from '../command.ts'
import { action, header, json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { at } from './command.ts'
import { fields } from './fields.ts'
import { couplingOf, pipelineNamed } from './pipeline.ts'
import { quote } from './quote.ts'

/** Config vars of a pipeline's stage `test`, which whatever tests the apps may ask for. */
export function register(program: Program): void {
  ofPipeline(program, 'ci:config', 'show the CI config vars of a pipeline')
    .option('-s, --shell', 'output config vars in shell format', false)
    .option('--json', 'output config vars in json format', false)
    .action(show)
  ofPipeline(program, 'ci:config:get', 'show a CI config var')
    .argument('<key>', 'name of the config var')
    .option('-s, --shell', 'output config var in shell format', false)
    .action(get)
  ofPipeline(program, 'ci:config:set', 'set CI config vars').argument('[vars...]', 'KEY=VALUE').action(set)
  ofPipeline(program, 'ci:config:unset', 'unset CI config vars')
    .argument('[keys...]', 'names of config vars')
    .action(unset)
}

const ofPipeline = (program: Program, name: string, description: string) =>
  program
    .command(name)
    .description(description)
    .option('-p, --pipeline <pipeline>', 'name of pipeline')
    .addOption(new Option('-a, --app <app>', 'an app of the pipeline'))
    .addOption(new Option('-r, --remote <remote>', 'git remote of an app of the pipeline'))

interface Which extends AppChoice {
  pipeline?: string | undefined
}

type Config = Record<string, string | null>
type Named = { pipeline: string } | { app: string }

/** What names the pipeline; as in the official CLI that is looked at before anything else of the line. */
async function namedBy({ pipeline, ...choice }: Which): Promise<Named> {
  if (pipeline !== undefined && choice.app !== undefined)
    throw misused('--app cannot also be provided when using --pipeline')
  if (pipeline !== undefined) return { pipeline }
  const app = await perhapsAppOf(choice)
  if (app === undefined) throw misused('Exactly one of the following must be provided: --app, --pipeline')
  return { app }
}

const misused = (what: string) =>
  new Failure(`The following error occurred:\n  ${what}\nSee more help with --help`, USAGE)

const pipelineBy = async (named: Named): Promise<{ id: string; name: string }> =>
  'pipeline' in named ? pipelineNamed(named.pipeline, USAGE) : (await couplingOf(named.app)).pipeline

const pipelineOf = async (which: Which) => pipelineBy(await namedBy(which))

const pathOf = (id: string): string => at('pipelines', id, 'stage', 'test', 'config-vars')

async function show(options: Which & { shell: boolean; json: boolean }): Promise<void> {
  const { id, name } = await pipelineOf(options)
  const config = await ask<Record<string, string>>('GET', pathOf(id))
  if (options.json) return json(config)
  if (options.shell) {
    for (const [key, value] of Object.entries(config)) say(`${key}=${quote(value)}`)
    return
  }
  header(`${name} test config vars`)
  fields(config)
}

async function get(key: string, options: Which & { shell: boolean }): Promise<void> {
  const { id } = await pipelineOf(options)
  const config = await ask<Record<string, string>>('GET', pathOf(id))
  const value = Object.hasOwn(config, key) ? config[key] : undefined
  if (options.shell) say(`${key}=${value === undefined ? '' : quote(value)}`)
  else say(value ?? 'undefined')
}

async function set(pairs: string[], options: Which): Promise<void> {
  const named = await namedBy(options)
  if (pairs.length === 0) throw new Failure('Usage: sluice ci:config:set KEY1 [KEY2 ...]\nMust specify KEY to set.')
  const config = Object.fromEntries(pairs.map(parsed))
  await change(named, 'Setting', config)
  fields(config)
}

function parsed(pair: string): [string, string] {
  const end = pair.indexOf('=')
  if (end === -1) throw new Failure(`${pair} is invalid. Must be in the format FOO=bar.`)
  return [pair.slice(0, end), pair.slice(end + 1)]
}

async function unset(keys: string[], options: Which): Promise<void> {
  const named = await namedBy(options)
  if (keys.length === 0) throw new Failure('Usage: sluice ci:config:unset KEY1 [KEY2 ...]\nMust specify KEY to unset.')
  await change(named, 'Unsetting', Object.fromEntries(keys.map((key) => [key, null])))
}

async function change(named: Named, doing: string, body: Config): Promise<void> {
  const { id } = await pipelineBy(named)
  await action(`${doing} ${Object.keys(body).join(', ')}`, () => ask('PATCH', pathOf(id), { body }))
}
