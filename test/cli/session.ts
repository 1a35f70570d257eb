import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../../daemon/config.ts'

/**
 * The official CLI, kept warm: the same code as `heroku`, loaded once and run for one command line after the other, because two thirds
 * of each command's time are the loading. The parent sends command lines over IPC; a mark with the exit code ends each on both outputs.
 */
interface Oclif {
  Config: { load(root: string): Promise<unknown> }
  Errors: { handle(error: unknown): Promise<void> }
  run(argv: string[], config: unknown): Promise<unknown>
}

const heroku = join(packageRoot, 'node_modules', 'heroku')
const require = createRequire(join(heroku, 'package.json'))
const { Config, Errors, run }: Oclif = require('@oclif/core')
const config = await Config.load(pathToFileURL(join(heroku, 'bin', 'run.js')).href)

/** What ends a command instead of the process. */
class Exit extends Error {
  readonly code: number
  constructor(code: number) {
    super(`exit ${code}`)
    this.code = code
  }
}

process.on('message', async (argv: string[]) => {
  const code = await execute(argv)
  for (const stream of [process.stdout, process.stderr]) stream.write(`\0${code}\0`)
})
process.send?.('ready')

async function execute(argv: string[]): Promise<number> {
  const { exit } = process
  process.exitCode = undefined
  process.exit = (code) => {
    throw new Exit(Number(code ?? process.exitCode ?? 0))
  }
  try {
    await run(argv, config)
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof Exit) return error.code
    return await shown(error)
  } finally {
    process.exit = exit
    process.exitCode = undefined
  }
}

/** Prints an error as the CLI does, and gives the code that it would end with. */
async function shown(error: unknown): Promise<number> {
  let first: number | undefined
  // the last that it does; what it would do if that failed must not be seen
  process.exit = ((code) => {
    first ??= Number(code)
  }) as typeof process.exit
  await Errors.handle(error)
  return first ?? 1
}
