import { invalid } from '../errors.ts'
import { limits } from '../limits.ts'

/** What a client asks to be run, in a dyno of its own or inside one. */
export interface Command {
  /** A shell command line; its first word may be a process type, which stands for that type's command. */
  command: string
  env: Record<string, string>
}

/** `worker --once` is `rake jobs:work --once` when that is what the Procfile says of worker. */
export function expand(command: string, commands: Record<string, string>): string {
  const [, blank = '', first = '', rest = ''] = /^(\s*)(\S+)([\s\S]*)$/.exec(command) ?? []
  const declared = Object.hasOwn(commands, first) ? commands[first] : undefined
  return declared === undefined ? command : `${blank}${declared}${rest}`
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/

/** Throws UserError for what no process can be given, or should not. */
export function checkCommand({ command, env }: Command): void {
  if (command.includes('\0')) throw invalid('The command contains a NUL character, which no process can be given.')
  let size = 0
  for (const [name, value] of Object.entries(env)) {
    if (!NAME.test(name))
      throw invalid(
        `"${name.slice(0, 100)}" is not a valid name of an environment variable: use at most 128 letters, digits and underscores, and no digit first.`,
      )
    if (value.includes('\0'))
      throw invalid(`The value of ${name} contains a NUL character, which no environment variable can hold.`)
    size += Buffer.byteLength(name) + Buffer.byteLength(value) + 2
  }
  if (size > limits.configSize)
    throw invalid(`The environment of a command may have ${limits.configSize / 1024} KB; this one has more.`)
}
