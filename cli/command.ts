import { Command, CommanderError } from '@commander-js/extra-typings'
import { complain } from './output.ts'
import { usage } from './usage.ts'

/** The exit code of a line that makes no sense. */
export const USAGE = 2

/** A command that refuses what it does not understand in the official CLI's words and with its exit code. */
export class Line extends Command {
  constructor(name?: string) {
    super(name)
    this.exitOverride()
    this.configureHelp({ formatHelp: (command) => usage(command) })
    this.helpOption('-h, --help', 'show this')
    this.enablePositionalOptions()
  }

  override createCommand(name?: string): Command {
    const command = new Line(name)
    command.addOption(command.createOption('--no-color', 'no colours on a terminal').hideHelp())
    command.on('option:no-color', () => {
      process.env.NO_COLOR = '1'
    })
    return command
  }

  override error(message: string, { code = '' }: { code?: string } = {}): never {
    if (code === 'commander.missingMandatoryOptionValue') throw new MissingFlags(this)
    const { text, help = false } = refusal(this, code, message)
    complain(text)
    if (help) process.stderr.write(`\n${usage(this, { short: true })}`)
    throw new CommanderError(USAGE, code, text)
  }
}

/** Flags that have to be there and are not: all of them, where commander names the first. */
export class MissingFlags extends CommanderError {
  readonly command: Command
  readonly names: string[]

  constructor(command: Command) {
    super(USAGE, 'commander.missingMandatoryOptionValue', 'flags are missing')
    this.command = command
    this.names = command.options
      .filter((option) => option.mandatory && command.getOptionValue(option.attributeName()) === undefined)
      .map((option) => option.name())
  }
}

const MORE = 'See more help with --help'

interface Refusal {
  text: string
  /** Followed by how the command is used. */
  help?: boolean
}

/** What commander does not like about a line, in the words of oclif, which the official CLI is built on. */
function refusal(command: Line, code: string, message: string): Refusal {
  const wanted = command.registeredArguments
  const option = /option '(?:-\w, )?--([\w-]+)/.exec(message)?.[1] ?? ''
  switch (code) {
    case 'commander.unknownOption': {
      const end = command.args.indexOf('--')
      const flags = command.args.slice(0, end < 0 ? undefined : end).filter((word) => /^-./.test(word))
      return { text: `Nonexistent flag${flags.length === 1 ? '' : 's'}: ${flags.join(', ')}\n${MORE}`, help: true }
    }
    case 'commander.excessArguments': {
      const more = command.args.slice(wanted.length)
      return { text: `Unexpected argument${more.length === 1 ? '' : 's'}: ${more.join(', ')}\n${MORE}`, help: true }
    }
    case 'commander.missingArgument': {
      const missing = wanted.filter(({ required }) => required).slice(command.args.length)
      const names = missing.map((argument) => argument.name())
      const width = Math.max(...names.map(({ length }) => length))
      const list = missing.map(({ description }, n) => `${names[n]?.padEnd(width)}  ${description}`.trimEnd())
      const count = `Missing ${missing.length} required arg${missing.length === 1 ? '' : 's'}:`
      return { text: [count, ...list, MORE].join('\n'), help: true }
    }
    case 'commander.optionMissingArgument':
      return { text: `Flag --${option} expects a value` }
    case 'commander.invalidArgument':
      return { text: `${invalid(option, message)}\n${MORE}` }
    default:
      return { text: `${message.replace(/^error: /, '')}\n${MORE}` }
  }
}

/** The text for flags that have to be there. */
export const missingFlag = (...names: string[]): string =>
  [
    `The following error${names.length === 1 ? '' : 's'} occurred:`,
    ...names.toSorted().map((name) => `  Missing required flag ${name}`),
    MORE,
  ].join('\n')

function invalid(option: string, message: string): string {
  const [, given = ''] = /(?:argument|value) '(.*)' is invalid/s.exec(message) ?? []
  const [, choices] = /Allowed choices are (.*)\.$/s.exec(message) ?? []
  const flag = option === '' ? given : `--${option}=${given}`
  if (choices !== undefined) return `Expected ${flag} to be one of: ${choices}`
  const [, reason = ''] = /is invalid(?: for argument '[^']*')?\. ?(.*)$/s.exec(message) ?? []
  return `Parsing ${option === '' ? given : `--${option}`} \n\t${reason}`
}
