import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { absences, whyAbsent } from '../../cli/heroku/absent.ts'
import { commands } from '../../cli/program.ts'
import { closest, distance } from '../../cli/suggestion.ts'
import { topicOf, topics } from '../../cli/topics.ts'
import { packageRoot } from '../../daemon/config.ts'
import { official } from '../cli/commands.ts'

const all = await commands()

/** By topic, its commands; an alias is no command of its own. */
const rows = Object.entries(topics).map(([name, topic]) => {
  const own = all.filter((command) => topicOf(command.name()) === topic).map((command) => `\`${command.name()}\``)
  return `| \`${name}\` | ${topic.summary} | ${own.join(', ')} |`
})

const missing = absences.map(
  ({ commands, why }) => `| ${commands.map((command) => `\`${command}\``).join(', ')} | ${why} |`,
)

/** `node dist/test/unit/cli-commands.test.js --print` prints the tables that belong into cli/README.md. */
if (process.argv.includes('--print')) {
  console.log(['| topic | | commands |', '|---|---|---|', ...rows].join('\n'))
  console.log(['', '| command | instead |', '|---|---|', ...missing].join('\n'))
  process.exit()
}

function written(title: string): string[] {
  const [, section = ''] = readFileSync(join(packageRoot, 'cli', 'README.md'), 'utf8').split(`\n## ${title}\n`)
  const [text = ''] = section.split('\n## ')
  return text.split('\n').filter((line) => /^\| `/.test(line))
}

const PRINT = 'print it with: node dist/test/unit/cli-commands.test.js --print'

test('the README lists the commands that there are, and those of the official CLI that there are not', () => {
  assert.equal(written('Commands of sluice'), rows, PRINT)
  assert.equal(written('Commands of the official CLI that are not here'), missing, PRINT)
})

const named = (name: string) => all.find((command) => command.name() === name || command.aliases().includes(name))

/** Answers git, and is not shown. */
const HIDDEN = ['git:credentials']

test('each command of the official CLI, by each of its names, is here or says why not and what there is instead', () => {
  const names = Object.entries(official).flatMap(([name, { aliases = [] }]) => [name, ...aliases])
  const shown = names.filter((name) => !HIDDEN.includes(name))
  assert.equal(
    shown.filter((name) => !named(name) && whyAbsent([name]) === undefined),
    [],
  )
  assert.equal(
    shown.filter((name) => named(name) && whyAbsent([name]) !== undefined),
    [],
    'no reason is given for what is here',
  )
  const claimed = absences.flatMap(({ commands }) => commands)
  assert.equal(
    claimed.filter((command) => {
      const topic = command.replace(/:\*$/, '')
      return !names.some((name) => name === command || (topic !== command && `${name}:`.startsWith(`${topic}:`)))
    }),
    [],
    'nothing is absent that the official CLI has not',
  )
})

/** Flags of the official CLI that are not here: of a command, or of all. */
const FLAGS_ABSENT: Record<string, string> = {
  '--prompt': 'what is asked for is asked for where there is a terminal, without a flag',
  '--space': 'there are no private spaces',
  'authorizations:update --client-id': 'the API does not move an authorization to another client',
  'authorizations:update --client-secret': 'the same',
  'autocomplete --refresh-cache': 'names are asked for when they are needed',
  'labs:disable --confirm': 'no feature here is less secure without it',
  'logs --force-colors': 'deprecated, and FORCE_COLOR does it',
}

test('each flag of the official CLI is here under its names, or there is a reason', () => {
  const without = Object.entries(official).flatMap(([name, { flags }]) => {
    const command = named(name)
    if (!command) return []
    return Object.values(flags).flatMap((flag) => {
      const reason = FLAGS_ABSENT[`--${flag.name}`] ?? FLAGS_ABSENT[`${name} --${flag.name}`]
      const option = command.options.find(({ long }) => long === `--${flag.name}`)
      const same = option && (flag.char === undefined || option.short === `-${flag.char}`)
      return flag.hidden || same || reason ? [] : [`${name} --${flag.name} ${flag.char ?? ''}`]
    })
  })
  assert.equal(without, [])
})

test('arguments that have to be there are called as the official CLI calls them, which names those that are missing', () => {
  const wrong = Object.entries(official).flatMap(([name, { args }]) => {
    const [theirs, ours] = [Object.values(args), named(name)?.registeredArguments ?? []].map((list) =>
      list.filter(({ required }) => required).map((one) => (typeof one.name === 'function' ? one.name() : one.name)),
    )
    return named(name) && theirs?.length && String(theirs) !== String(ours) ? [`${name} ${theirs}: ${ours}`] : []
  })
  assert.equal(wrong, [])
})

test('the help of each command has an example, which that command takes', () => {
  const helps = all.map((command) => {
    let text = ''
    command.configureOutput({
      writeOut(more) {
        text += more
      },
    })
    command.outputHelp()
    const [, examples = ''] = text.split('\nEXAMPLES\n')
    return {
      command,
      lines: [...examples.matchAll(/^ {2}\$ (?:eval "\$\()?sluice ([^\n)]*)/gm)].map(([, line = '']) => line),
    }
  })
  assert.equal(
    helps.filter(({ lines }) => lines.length === 0).map(({ command }) => command.name()),
    [],
  )
  const wrong = helps.flatMap(({ command, lines }) => lines.flatMap((line) => whyWrong(command, line)))
  assert.equal(wrong, [])
})

/** Why a command would not take a line of its help, as far as its names, flags and arguments tell. */
function whyWrong(command: (typeof all)[number], line: string): string[] {
  const [name = '', ...words] = (line.split(/ -- | [<>|]/)[0] ?? '').match(/"[^"]*"|\S+/g) ?? []
  const given = new Set<string>()
  let values = line.includes(' -- ') ? 1 : 0
  const fault = () => {
    if (named(name) !== command) return 'is of another command'
    for (let n = 0; n < words.length; n++) {
      const [flag = '', value] = (words[n] ?? '').split('=')
      if (!flag.startsWith('-')) values++
      else {
        const option = command.options.find(({ long, short }) => flag === long || flag === short)
        if (!option) return `has no ${flag}`
        given.add(option.long ?? '')
        if (option.required && value === undefined) n++
      }
    }
    const lacking = command.options.find(({ mandatory, long = '' }) => mandatory && !given.has(long))
    if (lacking) return `lacks ${lacking.long}`
    const least = command.registeredArguments.filter(({ required }) => required).length
    const most = command.registeredArguments.some(({ variadic }) => variadic)
      ? Number.POSITIVE_INFINITY
      : command.registeredArguments.length
    return values < least || values > most ? `has ${values} arguments` : undefined
  }
  const why = fault()
  return why === undefined ? [] : [`${line}: ${why}`]
}

test('every command is found by its names, and no two have the same', () => {
  const seen = new Set<string>()
  for (const command of all)
    for (const name of [command.name(), ...command.aliases()]) {
      assert.not.ok(seen.has(name), `${name} is there twice`)
      seen.add(name)
      assert.ok(topicOf(name), `${name} belongs to no topic`)
    }
})

test('every command, argument and flag says what it is', () => {
  const silent = all.flatMap((command) => [
    ...(command.description() === '' ? [command.name()] : []),
    ...command.registeredArguments
      .filter(({ description }) => description === '')
      .map((one) => `${command.name()} ${one.name()}`),
    ...command.options.filter(({ description }) => description === '').map((one) => `${command.name()} ${one.flags}`),
  ])
  assert.equal(silent, [])
})

test('the words that were probably meant are the nearest, and none when none is near', () => {
  assert.is(distance('config', 'config'), 0)
  assert.is(distance('confg', 'config'), 1)
  assert.is(distance('cnofig', 'config'), 1)
  assert.is(distance('', 'abc'), 3)
  assert.is(closest('rotuers', ['disk', 'routers', 'nodes']), 'routers')
  assert.is(closest('zzz', ['disk', 'routers']), undefined)
})

test.run()
