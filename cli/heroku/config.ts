import { ask } from '../api.ts'
import { appOf } from '../app.ts'
import { action, header, json, say, styled } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { appCommand, at } from './command.ts'
import { editConfig } from './config-edit.ts'
import { fields } from './fields.ts'
import { quote } from './quote.ts'
import { latestRelease } from './release.ts'

export type Config = Record<string, string>
export const configOf = (app: string): Promise<Config> => ask('GET', at('apps', app, 'config-vars'))

export function register(program: Program): void {
  appCommand(program, 'config', 'display the config vars of an app')
    .option('-s, --shell', 'output in shell format', false)
    .option('-j, --json', 'output in json format', false)
    .action(async (options) => config(await appOf(options), options))
  appCommand(program, 'config:get', 'display single config vars of an app')
    .argument('<KEY...>', 'names of config vars')
    .option('-s, --shell', 'output in shell format', false)
    .option('-j, --json', 'output in json format', false)
    .action(async (keys, options) => get(await appOf(options), keys, options))
  appCommand(program, 'config:set', 'set one or more config vars')
    .alias('config:add')
    .argument('[pairs...]', 'KEY=VALUE')
    .action(async (pairs, options) => set(await appOf(options), pairs))
  appCommand(program, 'config:unset', 'unset one or more config vars')
    .alias('config:remove')
    .argument('[keys...]', 'names of config vars')
    .action(async (keys, options) => unset(await appOf(options), keys))
  appCommand(program, 'config:edit', 'edit config vars in $VISUAL or $EDITOR')
    .argument('[key]', 'edit a single one')
    .option('-c, --confirm <app>', 'name of the app, instead of agreeing to the changes')
    .action(async (key, options) => editConfig(await appOf(options), key, options.confirm))
}

interface Form {
  shell: boolean
  json: boolean
}

async function config(app: string, form: Form): Promise<void> {
  const vars = await configOf(app)
  if (form.shell) for (const [key, value] of Object.entries(vars)) say(`${key}=${quote(value)}`)
  else if (form.json) json(vars)
  else {
    header(`${styled('magenta', app)} Config Vars`)
    fields(vars)
  }
}

async function get(app: string, keys: string[], form: Form): Promise<void> {
  const vars = await configOf(app)
  if (form.json) {
    const found = keys.map((key) => ({ key, value: Object.hasOwn(vars, key) ? vars[key] : null }))
    return json(found.length === 1 ? found[0] : found)
  }
  for (const key of keys) {
    const value = (Object.hasOwn(vars, key) && vars[key]) || ''
    const line = form.shell ? `${key}=${quote(value)}` : value
    // a script gets every byte of it
    if (process.stdout.isTTY) say(line)
    else process.stdout.write(`${line}\n`)
  }
}

async function set(app: string, pairs: string[]): Promise<void> {
  if (pairs.length === 0)
    throw new Failure('Usage: sluice config:set KEY1=VALUE1 [KEY2=VALUE2 ...]\nMust specify KEY and VALUE to set.')
  const vars = pairs.map((pair): [string, string] => {
    const end = pair.indexOf('=')
    if (end === -1) throw new Failure(`${pair} is invalid. Must be in the format FOO=bar.`)
    return [pair.slice(0, end), pair.slice(end + 1)]
  })
  const names = vars.map(([key]) => key)
  const config = await action(`Setting ${names.join(', ')} and restarting ${app}`, (tell) =>
    change(app, Object.fromEntries(vars), tell),
  )
  fields(Object.fromEntries(Object.entries(config).filter(([key, value]) => value !== '' && names.includes(key))))
}

async function unset(app: string, keys: string[]): Promise<void> {
  if (keys.length === 0) throw new Failure('Usage: sluice config:unset KEY1 [KEY2 ...]\nMust specify KEY to unset.', 2)
  await action(`Unsetting ${keys.join(', ')} and restarting ${app}`, (tell) =>
    change(app, Object.fromEntries(keys.map((key) => [key, null])), tell),
  )
}

/** Makes a release of the changes; the config vars that are then. */
async function change(app: string, vars: Record<string, string | null>, tell: (word: string) => void): Promise<Config> {
  const config = await ask<Config>('PATCH', at('apps', app, 'config-vars'), { body: vars })
  tell(`done, v${(await latestRelease(app)).version}`)
  return config
}
