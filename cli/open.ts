import { ask } from './api.ts'
import { appOf, appOption, remoteOption } from './app.ts'
import { browse } from './browser.ts'
import { say, styled } from './output.ts'
import type { Program } from './program.ts'
import { examples } from './usage.ts'

export function register(program: Program): void {
  program
    .command('apps:open')
    .alias('open')
    .description('open the app in a web browser')
    .argument('[path]', 'path within the app', '')
    .addOption(appOption)
    .addOption(remoteOption)
    .addHelpText(...examples('$ sluice open -a myapp', '$ sluice open -a myapp /foo'))
    .action(async (path, choice) => {
      const app = await appOf(choice)
      const { web_url } = await ask<{ web_url: string }>('GET', `/apps/${encodeURIComponent(app)}`)
      const url = new URL(path, web_url).toString()
      // a script wants the URL; so does a person on a machine without a browser
      const opened = process.stdout.isTTY && (await browse(url))
      say(opened ? `Opening ${styled('cyan', url)}...` : url)
    })
}
