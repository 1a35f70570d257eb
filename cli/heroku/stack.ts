import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { action, header, json, say, styled } from '../output.ts'
import type { Program } from '../program.ts'
import { appCommand, at } from './command.ts'

interface Stack {
  name: string
}
interface App {
  name: string
  stack: Stack
  build_stack: Stack
}

/** What an app is built and run on. */
export function registerStack(program: Program): void {
  appCommand(program, 'apps:stacks', 'show the stacks that there are')
    .aliases(['stack', 'stacks'])
    .option('--json', 'output in json format', false)
    .action(async (options) => stacks(await appOf(options), options.json))
  appCommand(program, 'apps:stacks:set', 'set the stack of an app')
    .aliases(['stack:set', 'stacks:set'])
    .argument('<stack>', 'name of the stack')
    .action(async (stack, options) => setStack(await appOf(options), stack, options.remote))
}

async function stacks(named: string, asJson: boolean): Promise<void> {
  const [app, all] = await Promise.all([ask<App>('GET', at('apps', named)), list<Stack>('/stacks')])
  const sorted = all.toSorted((a, b) => a.name.localeCompare(b.name))
  if (asJson) return json(sorted)
  header(`${app.name} Available Stacks`)
  for (const { name } of sorted)
    if (name === app.stack.name) say(styled('cyan', `* ${name}`))
    else say(`  ${name}${name === app.build_stack.name ? ' (active on next deploy)' : ''}`)
}

async function setStack(name: string, stack: string, remote = 'heroku'): Promise<void> {
  const app = await action(`Setting stack to ${stack}`, () =>
    ask<App>('PATCH', at('apps', name), { body: { build_stack: stack } }),
  )
  if (app.stack.name === app.build_stack.name) return
  say(`You will need to redeploy ${name} for the change to take effect.`)
  say(`Run git push ${remote} main to trigger a new build on ${name}.`)
}
