import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseProcfile } from '../../daemon/build/procfile.ts'

const types = (text: string) => Object.fromEntries(parseProcfile(text).types)

test('a command is raw shell: colons, quotes and hashes stay', () => {
  assert.equal(types('web: echo foo: bar "x" # y\n'), { web: 'echo foo: bar "x" # y' })
})

test('no space after the colon, many spaces, CRLF, a byte order mark and no final newline are all fine', () => {
  assert.equal(types('\uFEFFweb:a b\r\nworker:   c\r\nclock: d'), { web: 'a b', worker: 'c', clock: 'd' })
})

test('of two entries of one name the later counts, with a warning', () => {
  const { types, warnings } = parseProcfile('web: a\nweb: b\n')
  assert.equal([...types], [['web', 'b']])
  assert.equal(warnings, ['The Procfile declares web twice; the later line counts.'])
})

test('blank lines and comments are ignored silently, everything else with a warning', () => {
  const { types, warnings } = parseProcfile('# c\n\n  # d\nweb: a\nnot an entry\nworker:\n  indented: x\n')
  assert.equal([...types.keys()], ['web'])
  assert.equal(warnings, [
    'Procfile line 5 is ignored: "not an entry" is not of the form "type: command".',
    'Procfile line 6 is ignored: "worker:" has no command.',
    'Procfile line 7 is ignored: "indented: x" begins with a space.',
  ])
})

test('names keep their case; those that a host name cannot have get a warning', () => {
  const { types, warnings } = parseProcfile('My_Worker: a\n')
  assert.equal([...types.keys()], ['My_Worker'])
  assert.is(warnings.length, 1)
})

test('a name longer than 63 characters is refused', () => {
  assert.is(parseProcfile(`${'a'.repeat(63)}: x`).errors.length, 0)
  assert.match(parseProcfile(`${'a'.repeat(64)}: x`).errors[0] ?? '', /line 1 .*longer than 63/)
})

test('names of Object.prototype are names like others', () => {
  assert.equal([...parseProcfile('__proto__: x\nconstructor: y\n').types.keys()], ['__proto__', 'constructor'])
})

test('an empty Procfile warns', () => {
  assert.equal(parseProcfile('').warnings, ['The Procfile declares no process types.'])
})

test.run()
