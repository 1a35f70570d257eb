import { ask } from '../api.ts'
import { appOf } from '../app.ts'
import { action, json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { appCommand, at } from './command.ts'

export function register(program: Program): void {
  appCommand(program, 'maintenance', 'display whether an app is in maintenance mode')
    .option('--json', 'output in json format', false)
    .action(async (options) => {
      const { maintenance } = await ask<{ maintenance: boolean }>('GET', at('apps', await appOf(options)))
      if (options.json) json({ maintenance })
      else say(maintenance ? 'on' : 'off')
    })
  for (const [word, maintenance, doing] of [
    ['on', true, 'Enabling'],
    ['off', false, 'Disabling'],
  ] as const)
    appCommand(program, `maintenance:${word}`, `turn maintenance mode ${word}`).action(async (options) => {
      const app = await appOf(options)
      await action(`${doing} maintenance mode for ${app}`, () =>
        ask('PATCH', at('apps', app), { body: { maintenance } }),
      )
    })
}
