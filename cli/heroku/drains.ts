import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { header, json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { appCommand, at } from './command.ts'

interface Drain {
  url: string
  token: string
}

export function register(program: Program): void {
  appCommand(program, 'drains', 'display the log drains of an app')
    .option('--json', 'output in json format', false)
    .action(async (options) => {
      const drains = await list<Drain>(at('apps', await appOf(options), 'log-drains'))
      if (options.json) return json(drains)
      if (drains.length > 0) header('Drains')
      for (const { url, token } of drains) say(`${url} (${token})`)
    })
  appCommand(program, 'drains:add', 'add a log drain to an app')
    .argument('<url>', 'URL of the log drain')
    .action(async (url, options) => {
      const drain = await ask<Drain>('POST', at('apps', await appOf(options), 'log-drains'), { body: { url } })
      say(`Successfully added drain ${drain.url}`)
    })
  appCommand(program, 'drains:remove', 'remove a log drain from an app')
    .argument('<url>', 'URL or token of the log drain')
    .action(async (url, options) => {
      const drain = await ask<Drain>('DELETE', at('apps', await appOf(options), 'log-drains', url))
      say(`Successfully removed drain ${drain.url}`)
    })
}
