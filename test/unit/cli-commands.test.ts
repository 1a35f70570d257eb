import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { commands } from '../../cli/program.ts'
import { closest, distance } from '../../cli/suggestion.ts'
import { topicOf, topics } from '../../cli/topics.ts'
import { packageRoot } from '../../daemon/config.ts'

const all = await commands()

/** By topic, its commands; an alias is no command of its own. */
const rows = Object.entries(topics).map(([name, topic]) => {
  const own = all.filter((command) => topicOf(command.name()) === topic).map((command) => `\`${command.name()}\``)
  return `| \`${name}\` | ${topic.summary} | ${own.join(', ')} |`
})

/** `node dist/test/unit/cli-commands.test.js --print` prints the table that belongs into cli/README.md. */
if (process.argv.includes('--print')) {
  console.log(['| topic | | commands |', '|---|---|---|', ...rows].join('\n'))
  process.exit()
}

test('the README lists the commands that there are', () => {
  const [, section = ''] = readFileSync(join(packageRoot, 'cli', 'README.md'), 'utf8').split(
    '\n## Commands of sluice\n',
  )
  const written = section
    .split('\n## ')[0]
    ?.split('\n')
    .filter((line) => /^\| `/.test(line))
  assert.equal(written, rows, 'print it with: node dist/test/unit/cli-commands.test.js --print')
})

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
