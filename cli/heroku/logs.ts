import { Option } from '@commander-js/extra-typings'
import { appOf } from '../app.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { appCommand, exclusive } from './command.ts'
import { showLogs } from './log-session.ts'

const LINES = 100

export function register(program: Program): void {
  appCommand(program, 'logs', 'display recent log output')
    .option('-n, --num <num>', 'number of lines to display', String(LINES))
    .option('-t, --tail', 'go on with new lines as they come', false)
    .option('-d, --dyno-name <dyno>', 'only those of a dyno')
    .option('-p, --process-type <type>', 'only those of a process type')
    .option('-s, --source <source>', 'only those of a source: app or heroku')
    .addOption(new Option('--dyno <dyno>', 'the same as --dyno-name').hideHelp())
    .addOption(new Option('--ps <type>', 'the same as --process-type').hideHelp())
    .action(async (options) => {
      const dyno = options.dynoName ?? options.dyno
      const type = options.processType ?? options.ps
      exclusive({ 'dyno-name': dyno, 'process-type': type })
      const lines = Number(options.num)
      if (!Number.isInteger(lines))
        throw new Failure(`Parsing --num \n\tExpected an integer but received: ${options.num}`, 2)
      await showLogs(await appOf(options), {
        dyno: dyno ?? type,
        lines: lines || LINES,
        source: options.source,
        tail: options.tail,
      })
    })
}
