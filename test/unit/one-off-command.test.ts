import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { checkCommand, expand } from '../../daemon/run/command.ts'
import { createMessages } from '../../daemon/run/message.ts'

const commands = { worker: 'rake jobs:work', web: 'node server.js' }

test('a process type as the first word stands for its command, whatever follows it', () => {
  assert.is(expand('worker', commands), 'rake jobs:work')
  assert.is(expand('worker --once "a b"', commands), 'rake jobs:work --once "a b"')
  assert.is(expand('worker ; echo "status: $?"', commands), 'rake jobs:work ; echo "status: $?"')
})

test('any other command is left to the letter', () => {
  for (const command of ['workers', 'echo worker', 'bash -c "x"', 'toString', '__proto__ x', '  spaces  ', 'a\nworker'])
    assert.is(expand(command, commands), command)
})

test('an environment that no process can have is refused', () => {
  checkCommand({ command: 'ls', env: { TERM: 'xterm', EMPTY: '', _: '世界\n' } })
  assert.throws(() => checkCommand({ command: 'l\0s', env: {} }), /NUL/)
  assert.throws(() => checkCommand({ command: 'ls', env: { 'A B': '1' } }), /not a valid name/)
  assert.throws(() => checkCommand({ command: 'ls', env: { A: 'x\0y' } }), /NUL/)
  assert.throws(() => checkCommand({ command: 'ls', env: { A: 'x'.repeat(70_000) } }), /64 KB/)
})

const MARKER = '\uFFFF heroku-command-exit-status: 7\r\n'

test('the exit code of run -x is a message of its own, however the output is cut', () => {
  const output = Buffer.from(`out\nput ${MARKER}after`)
  for (let cut = 0; cut <= output.length; cut++) {
    const messages = createMessages()
    const pieces = [
      ...messages.push(output.subarray(0, cut)),
      ...messages.push(output.subarray(cut)),
      ...messages.end(),
    ].map(String)
    assert.is(pieces.join(''), output.toString(), `cut at ${cut}`)
    assert.ok(pieces.includes(MARKER), `cut at ${cut}: ${JSON.stringify(pieces)}`)
  }
})

test('nothing else is held back', () => {
  const messages = createMessages()
  for (const text of [
    '$ ',
    '世界',
    '\uFFFF',
    '\uFFFF other\n',
    `\uFFFF heroku-command-exit-status: ${'9'.repeat(50)}`,
    'x',
  ])
    if (text === '\uFFFF') assert.equal(messages.push(Buffer.from(text)), [])
    else
      assert.ok(
        Buffer.concat(messages.push(Buffer.from(text)))
          .toString()
          .endsWith(text),
      )
  assert.equal(messages.end(), [])
})

test('no message is longer than a TLS record, and none ends in half an end of line', () => {
  const output = Buffer.from('x'.repeat(16_383) + '\r\n'.repeat(20_000))
  const messages = createMessages()
  const all = [
    ...messages.push(output.subarray(0, 40_000)),
    ...messages.push(output.subarray(40_000)),
    ...messages.end(),
  ]
  assert.ok(Buffer.concat(all).equals(output))
  for (const message of all) assert.ok(message.length <= 16_384 && message.at(-1) !== 0x0d)
})

test('what may become a marker and does not is shown at the end', () => {
  const messages = createMessages()
  assert.equal(messages.push(Buffer.from('a\uFFFF heroku-com')).map(String), ['a'])
  assert.equal(messages.end().map(String), ['\uFFFF heroku-com'])
})

test.run()
