import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { say } from './output.ts'
import type { Program } from './program.ts'
import { packageRoot } from './settings.ts'

export const version: string = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')).version

/** As clients name themselves: `sluice/0.1.0 linux-x64 node-v20.20.2`. */
export const agent = `sluice/${version} ${process.platform}-${process.arch} node-${process.version}`

export const register = (program: Program): void =>
  void program
    .command('version')
    .description('which sluice this is')
    .action(() => say(agent))
