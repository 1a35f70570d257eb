import { type Command, CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings'
import { Line, MissingFlags, missingFlag, USAGE } from './command.ts'
import { complain, say, styled, warn } from './output.ts'
import { Failure } from './settings.ts'
import { closest } from './suggestion.ts'
import { topicOf, topics } from './topics.ts'
import { columns, hidden } from './usage.ts'

/** What topics put their commands on, by their whole names: `program.command('config:set')`. */
export type Program = Command

/** The exit code of a command that there is not, as in a shell. */
const UNKNOWN = 127

/**
 * Runs a command line without the program's name and resolves with its exit code: 0; what a Failure says, mostly 1; 2 when the line makes no
 * sense; 127 when there is no such command. `config set` is `config:set`.
 */
export async function run(words: string[]): Promise<number> {
  try {
    const [first = 'help', ...rest] = words
    if (['help', '--help', '-h'].includes(first)) return await help(rest)
    if (['--version', '-v'].includes(first)) return await run(['version', ...rest])
    const topic = topicOf(first)
    const program = new Line('sluice')
    if (topic) (await topic.load()).register(program)
    const line = joined(program, words, topic?.verbatim)
    if (!named(program, line[0] ?? '')) return await unknown(words)
    if (line === words && !topic?.verbatim) await refuseAbsent(words, 2)
    await program.parseAsync(line, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof MissingFlags) return await missing(error)
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE
    if (!(error instanceof Failure)) throw error
    if (error.message !== '') complain(error.message)
    return error.code
  }
}

/** The app is one of them where no git remote tells it. */
async function missing({ command, names }: MissingFlags): Promise<number> {
  const { appOption, perhapsAppOf } = await import('./app.ts')
  const none = () =>
    perhapsAppOf(command.opts()).then(
      (app) => app === undefined,
      () => false,
    )
  const more = command.options.includes(appOption) && (await none()) ? [appOption.name()] : []
  complain(missingFlag(...names, ...more))
  return USAGE
}

/** The words with those in front that name a command together made one. */
function joined(program: Program, words: string[], verbatim = false): string[] {
  if (verbatim) return words
  for (let n = Math.min(words.length, 4); n > 1; n--) {
    const name = words.slice(0, n).join(':')
    if (named(program, name)) return [name, ...words.slice(n)]
  }
  return words
}

const named = (program: Program, name: string): CommandUnknownOpts | undefined =>
  program.commands.find((command) => command.name() === name || command.aliases().includes(name))

/** What the official CLI has and this one has not gets a reason. Else what was meant is run, if somebody is there to say yes. */
async function unknown(words: string[]): Promise<number> {
  const [word = '', ...rest] = words
  await refuseAbsent(words)
  const { attended, confirmed } = await import('./prompt.ts')
  const meant = closest(word, await names())
  warn(`${styled('yellow', word, process.stderr)} is not a sluice command.`)
  if (meant !== undefined && attended() && (await confirmed(`Did you mean ${meant}?`, true)))
    return run([meant, ...rest])
  const topic = topicOf(word) && word.includes(':') ? ` ${word.split(':')[0]}` : ''
  const suggestion = meant !== undefined && !attended() ? `Did you mean ${meant}? ` : ''
  throw new Failure(`${suggestion}Run sluice help${topic} for a list of available commands.`, UNKNOWN)
}

/** `pipelines open` begins with a command that there is, and is one that there is not: the name has two words at least. */
async function refuseAbsent(words: string[], least = 1): Promise<void> {
  const [, second = '-'] = words
  if (least > 1 && second.startsWith('-')) return
  const { whyAbsent } = await import('./heroku/absent.ts')
  const why = whyAbsent(words, least)
  if (why !== undefined) throw new Failure(why)
}

/** The commands that are shown, of all topics or of some. */
export async function commands(of = Object.values(topics)): Promise<CommandUnknownOpts[]> {
  const program = new Line('sluice')
  for (const topic of of) (await topic.load()).register(program)
  return program.commands.filter((command) => !hidden(command))
}

const names = async (): Promise<string[]> => [
  ...['help', ...Object.keys(topics)],
  ...(await commands()).flatMap((command) => [command.name(), ...command.aliases()]),
]

async function help(words: string[]): Promise<number> {
  const subject = words.filter((word) => !word.startsWith('-'))
  if (subject.length > 0) return helpOn(subject)
  say('sluice: a Heroku-compatible platform on your own machines')
  say('')
  say('USAGE')
  say('  $ sluice COMMAND')
  say('')
  say('TOPICS')
  for (const line of columns(Object.entries(topics).map(([name, { summary }]) => [name, summary]))) say(`  ${line}`)
  say('')
  say('See: sluice help TOPIC, or sluice COMMAND --help')
  return 0
}

/** Of a command; of a topic whose commands all have longer names, these. */
async function helpOn(words: string[]): Promise<number> {
  const name = words.join(':')
  const topic = topicOf(name)
  const program = new Line('sluice')
  if (topic) (await topic.load()).register(program)
  const command = named(program, name)
  if (command) {
    command.outputHelp()
    return 0
  }
  const below = program.commands.filter((one) => one.name().startsWith(`${name}:`) && !hidden(one))
  if (below.length === 0) await refuseAbsent(words)
  if (!topic || below.length === 0) throw new Failure(`Command ${name} not found.`, USAGE)
  say(topic.summary)
  say('')
  say('COMMANDS')
  for (const line of columns(below.map((one) => [one.name(), one.description().split('\n')[0] ?? '']))) say(`  ${line}`)
  return 0
}
