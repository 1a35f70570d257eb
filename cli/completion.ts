import { mkdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { CommandUnknownOpts, Option } from '@commander-js/extra-typings'
import { list } from './api.ts'
import { writeWhole } from './logins.ts'
import { platform } from './platform.ts'
import { commands, type Program } from './program.ts'
import { remotes } from './repository.ts'
import { scripts } from './shell.ts'
import { topicOf } from './topics.ts'
import { examples } from './usage.ts'

/*
 * The shell hands over the words before the cursor and gets what may stand there, one a line, a description behind a tab. Nothing of it is
 * ever an error: a line that cannot be completed is completed with nothing, or by the shell with names of files.
 */

export function register(program: Program): void {
  program
    .command('completion')
    .alias('autocomplete')
    .description('print what a shell has to know to complete command lines')
    .addArgument(program.createArgument('<shell>', 'which').choices(['bash', 'zsh', 'fish'] as const))
    .addHelpText(
      ...examples(
        '$ echo \'eval "$(sluice completion bash)"\' >> ~/.bashrc',
        '$ echo \'eval "$(sluice completion zsh)"\' >> ~/.zshrc',
        '$ sluice completion fish > ~/.config/fish/completions/sluice.fish',
      ),
    )
    .action((shell) => void process.stdout.write(scripts[shell]))
  program
    .command('completion:words', { hidden: true })
    .description('answers a shell')
    .argument('[words...]', 'of the line, the last one unfinished')
    .option('--line <line>', 'the line up to the cursor, from a shell whose words are others')
    .action(async (words, { line }) => {
      const found = await candidates(line === undefined ? words : split(line)).catch(() => [])
      process.stdout.write(found.map(([word, text = '']) => `${word}${text && `\t${text}`}\n`).join(''))
    })
}

/** A word, and what it means. */
type Candidate = [word: string, text?: string]

/** The words of a line behind the command's own name, the last one unfinished. */
function split(line: string): string[] {
  const words = line.trimStart().split(/\s+/)
  return words.slice(words.findIndex((word) => /(^|\/)sluice$/.test(word)) + 1)
}

/** What may stand in place of the last word. */
export async function candidates(words: string[]): Promise<Candidate[]> {
  const before = words.slice(0, -1)
  const current = words.at(-1) ?? ''
  const [first] = before
  const topic = first === undefined || first === 'help' ? undefined : topicOf(first)
  const all = await commands(topic && [topic])
  const found = first === undefined ? commandNames(all) : await within(all, before, current)
  return found.filter(([word]) => word.startsWith(current))
}

const commandNames = (all: CommandUnknownOpts[]): Candidate[] => [
  ...all.flatMap((command) => [command.name(), ...command.aliases()].map((name): Candidate => [name, about(command)])),
  ['help', 'how a command is used'],
]

const about = (command: CommandUnknownOpts): string => command.description().split('\n')[0] ?? ''

async function within(all: CommandUnknownOpts[], before: string[], current: string): Promise<Candidate[]> {
  const [first = ''] = before
  if (first === 'help') return before.length === 1 ? commandNames(all) : []
  const { command, rest } = longest(all, before)
  const further = topicOf(first)?.verbatim ? [] : longer(all, before)
  if (!command) return further
  if (rest.includes('--')) return []
  const [, flag, given] = /^(--[\w-]+)=(.*)$/.exec(current) ?? []
  if (flag !== undefined && given !== undefined)
    return (await valuesOf(optionOf(command, flag))).map(([word]) => [`${flag}=${word}`])
  const last = optionOf(command, rest.at(-1) ?? '')
  if (last && takesValue(last)) return valuesOf(last)
  if (current.startsWith('-')) return flagsOf(command)
  return [...further, ...(await argumentsOf(command, rest))]
}

/** The command that the most of these words name, and the words behind it. */
function longest(all: CommandUnknownOpts[], words: string[]): { command?: CommandUnknownOpts; rest: string[] } {
  for (let n = Math.min(words.length, 4); n > 0; n--) {
    const name = words.slice(0, n).join(':')
    const command = all.find((one) => one.name() === name || one.aliases().includes(name))
    if (command) return { command, rest: words.slice(n) }
  }
  return { rest: words }
}

/** The next word of commands whose names begin with these: `set` behind `config`. */
function longer(all: CommandUnknownOpts[], words: string[]): Candidate[] {
  const start = `${words.join(':')}:`
  return all.flatMap((command) =>
    command.name().startsWith(start) ? [[command.name().slice(start.length), about(command)] satisfies Candidate] : [],
  )
}

const flagsOf = (command: CommandUnknownOpts): Candidate[] => [
  ...command.options
    .filter(({ hidden }) => !hidden)
    .map(({ long, description }): Candidate => [long ?? '', description]),
  ['--help', 'how it is used'],
]

const optionOf = (command: CommandUnknownOpts, word: string): Option | undefined =>
  command.options.find(({ short, long }) => word !== '' && (word === short || word === long))

const takesValue = ({ required, optional }: Option): boolean => required || optional

async function valuesOf(option: Option | undefined): Promise<Candidate[]> {
  if (option?.argChoices) return option.argChoices.map((word) => [word])
  if (option?.long === '--app') return (await appNames()).map((name) => [name])
  if (option?.long === '--remote') return (await remotes()).map(({ name, app }) => [name, app])
  return []
}

async function argumentsOf(command: CommandUnknownOpts, rest: string[]): Promise<Candidate[]> {
  const wanted = command.registeredArguments
  const position = rest.filter((word, n) => !word.startsWith('-') && !isValue(command, rest[n - 1])).length
  const argument = wanted[position] ?? (wanted.at(-1)?.variadic ? wanted.at(-1) : undefined)
  if (argument?.argChoices) return argument.argChoices.map((word) => [word])
  return argument?.name() === 'app' ? (await appNames()).map((name) => [name]) : []
}

function isValue(command: CommandUnknownOpts, before = ''): boolean {
  const option = optionOf(command, before)
  return option !== undefined && takesValue(option)
}

/** How long a list of names is good, and how long a platform is waited for while somebody looks at the cursor, ms. */
const GOOD_FOR = 60_000
const WAIT = 1000
/** What a shell may be given: Heroku's names of apps. */
const NAME = /^[a-z][a-z0-9-]{1,29}$/

interface Cached {
  url: string
  at: number
  names: string[]
}

async function appNames(): Promise<string[]> {
  const { url } = await platform()
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sluice')
  const file = join(folder, 'apps.json')
  const cached = await readFile(file, 'utf8')
    .then((text): Cached => JSON.parse(text))
    .catch(() => undefined)
  if (cached?.url === url && Date.now() - cached.at < GOOD_FOR) return cached.names
  const apps = await list<{ name: string }>('/apps', { patient: false, silence: WAIT })
  const names = apps.map(({ name }) => name).filter((name) => NAME.test(name))
  const fresh: Cached = { url, at: Date.now(), names }
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeWhole(file, JSON.stringify(fresh))
  return names
}
