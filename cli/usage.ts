import type { CommandUnknownOpts as Command, Option } from '@commander-js/extra-typings'
import { exampleLines } from './examples.ts'

/*
 * How a command is used, laid out as the official CLI does. What it prints below `short` is also shown after a line that made no sense.
 */

const WIDTH = 80

export function usage(command: Command, { short = false }: { short?: boolean } = {}): string {
  const [first = '', ...rest] = command.description().split('\n')
  const more = rest.join('\n').trim()
  const aliases = command.aliases().map((name) => `$ sluice ${name}`)
  const sections = [
    section('USAGE', [wrapped(`$ sluice ${[command.name(), ...argumentsOf(command), ...flagsOf(command)].join(' ')}`)]),
    section('ARGUMENTS', columns(command.registeredArguments.map((one) => [label(one), one.description]))),
    section('FLAGS', flags(command)),
    ...(short ? [] : [section('DESCRIPTION', more.split('\n')), section('ALIASES', aliases)]),
    section('COMMANDS', columns(below(command))),
    ...(short ? [] : [section('EXAMPLES', examplesOf(command))]),
  ]
  return `${[...(short ? [] : [first]), ...sections.filter((text) => text !== '')].join('\n\n')}\n`
}

const examplesOf = (command: Command): string[] =>
  (exampleLines[command.name()] ?? []).map((line) => `$ sluice ${line}`)

/** What goes to `addHelpText`: lines that one can type, and what they print. */
export const examples = (...lines: string[]): ['after', string] => ['after', `\nEXAMPLES\n${indented(lines)}`]

/** Two columns, the first as wide as its widest. */
export function columns(rows: string[][]): string[] {
  const width = Math.max(0, ...rows.map(([name = '']) => name.length))
  return rows.map(([name = '', text = '']) => `${name.padEnd(width)}  ${text}`.trimEnd())
}

/** The commands of the same topic that go on where this one's name ends. */
const below = (command: Command): string[][] =>
  (command.parent?.commands ?? [])
    .filter((one) => one.name().startsWith(`${command.name()}:`) && !hidden(one))
    .map((one) => [one.name(), one.summary() || (one.description().split('\n')[0] ?? '')])
    .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))

/** Commander keeps it to itself, but leaves such commands out of this. */
export const hidden = (command: Command): boolean =>
  !command.parent?.createHelp().visibleCommands(command.parent).includes(command)

const section = (title: string, lines: string[]): string =>
  lines.some((line) => line !== '') ? `${title}\n${indented(lines)}` : ''

const indented = (lines: string[]): string => lines.map((line) => (line === '' ? '' : `  ${line}`)).join('\n')

const visible = (command: Command): Option[] =>
  command.options
    .filter((option) => !option.hidden)
    .toSorted((a, b) =>
      (a.short ?? a.long ?? '').replace(/^-+/, '') < (b.short ?? b.long ?? '').replace(/^-+/, '') ? -1 : 1,
    )

const argumentsOf = (command: Command): string[] =>
  command.registeredArguments.map((one) => (one.required ? label(one) : `[${label(one)}]`))

const label = (argument: Command['registeredArguments'][number]): string =>
  `${argument.name().toUpperCase()}${argument.variadic ? '...' : ''}`

const flagsOf = (command: Command): string[] =>
  visible(command).map((option) => {
    const text = `${option.short ?? option.long}${value(option, ' ')}`
    return option.mandatory ? text : `[${text}]`
  })

function flags(command: Command): string[] {
  const all = visible(command)
  const blanks = all.some(({ short }) => short) ? '    ' : ''
  const label = (option: Option) => `${option.short ? `${option.short}, ` : blanks}${option.long}${value(option, '=')}`
  return columns(all.map((option) => [label(option), description(option)]))
}

/** `<app>` of `--app <app>`. */
function value({ flags, required, optional }: Option, between: string): string {
  const [name = ''] = /[<[].*$/.exec(flags) ?? []
  if (required) return `${between}${name}`
  return optional ? `[${between}${name.slice(1, -1)}]` : ''
}

const description = ({ description, argChoices, mandatory }: Option): string =>
  [mandatory ? '(required)' : '', description, argChoices ? `<options: ${argChoices.join('|')}>` : '']
    .filter((text) => text !== '')
    .join(' ')

/** Broken between words, and further lines indented. */
function wrapped(text: string): string {
  const lines = ['']
  for (const word of text.match(/\[[^\]]*\]|\S+/g) ?? []) {
    const last = lines.at(-1) ?? ''
    if (last.length + word.length + 3 > WIDTH) lines.push(`    ${word}`)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines.join('\n  ')
}
