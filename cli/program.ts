import { Command, CommanderError } from '@commander-js/extra-typings'
import { complain, say } from './output.ts'
import { Failure } from './settings.ts'
import { topicOf, topics } from './topics.ts'

/** What topics put their commands on, by their whole names: `program.command('config:set')`. */
export type Program = Command

const USAGE = 2

/**
 * Runs a command line without the program's name and resolves with its exit code: 0; what a Failure says, mostly 1; 2 when the line makes no
 * sense. `config set` is `config:set`.
 */
export async function run(words: string[]): Promise<number> {
  try {
    const [first = 'help'] = words
    if (['help', '--help', '-h'].includes(first)) return await help(words.slice(1))
    const topic = topicOf(first)
    if (!topic) throw new Failure(`${first} is not a sluice command. See: sluice help`, USAGE)
    const program = frame()
    ;(await topic.load()).register(program)
    await program.parseAsync(joined(program, words), { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE
    if (!(error instanceof Failure)) throw error
    complain(error.message)
    return error.code
  }
}

const frame = (): Program =>
  new Command('sluice')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void process.stdout.write(text),
      outputError: (text) => complain(text.replace(/^error: /, '')),
    })
    .showSuggestionAfterError()

/** The words with those in front that name a command together made one. */
function joined(program: Program, words: string[]): string[] {
  const names = new Set(program.commands.flatMap((command) => [command.name(), ...command.aliases()]))
  for (let n = Math.min(words.length, 4); n > 1; n--) {
    const name = words.slice(0, n).join(':')
    if (names.has(name)) return [name, ...words.slice(n)]
  }
  return words
}

async function help(words: string[]): Promise<number> {
  const [first] = words
  if (first !== undefined) return run([...words, '--help'])
  const width = Math.max(...Object.keys(topics).map((name) => name.length))
  say('sluice: a Heroku-compatible platform on your own machines')
  say('')
  for (const [name, { summary }] of Object.entries(topics)) say(`  ${name.padEnd(width)}  ${summary}`)
  say('')
  say('See: sluice help COMMAND')
  return 0
}

/** A command that takes its words as they are. */
export const words = (program: Program, name: string, act: (args: string[]) => Promise<void>): void =>
  void program.command(name).argument('[words...]').allowUnknownOption().helpOption(false).action(act)
