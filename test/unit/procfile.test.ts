import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseProcfile, procfileOddities, readProcfile } from '../../daemon/build/procfile.ts'
import { limits } from '../../daemon/limits.ts'

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

test('commands that no dyno could run are refused', () => {
  assert.match(parseProcfile('web: a\0b').errors[0] ?? '', /command of web on line 1 contains a NUL character/)
  assert.match(
    parseProcfile(`x: y\nweb: ${'a'.repeat(limits.commandSize + 1)}`).errors[0] ?? '',
    /line 2 is longer than 64 KB/,
  )
  assert.equal(parseProcfile(`web: ${'a'.repeat(limits.commandSize)}`).errors, [])
})

test('the name of one-off dynos is refused, and more types than an app may have', () => {
  assert.match(parseProcfile('run: x').errors[0] ?? '', /name of one-off dynos/)
  const many = (count: number) => Array.from({ length: count }, (_, n) => `w${n}: x`).join('\n')
  assert.equal(parseProcfile(many(100)).errors, [])
  assert.match(parseProcfile(many(101)).errors[0] ?? '', /101 process types; 100 are allowed/)
})

test('text that is not UTF-8 is refused, and what Windows writes is called by its name', () => {
  const errors = (bytes: Buffer) => readProcfile(bytes).errors.join()
  assert.is(errors(Buffer.from('web: écho\n')), '')
  assert.is(errors(Buffer.from('\uFEFFweb: x\n')), '')
  assert.match(errors(Buffer.from('\uFEFFweb: x\n', 'utf16le')), /is UTF-16 text, or no text at all\. Save it as UTF-8/)
  assert.match(errors(Buffer.from('web: \xe9\n', 'latin1')), /is not UTF-8 text/)
  assert.match(errors(Buffer.from('web: x\n', 'utf16le')), /is UTF-16 text/)
})

test('a Procfile that is too large is refused, not cut', () => {
  const comment = (size: number) => Buffer.alloc(size, '#')
  assert.equal(readProcfile(comment(256 * 1024)).errors, [])
  assert.equal(readProcfile(comment(256 * 1024 + 1)).errors, ['It is larger than 256 KB.'])
})

test('a name in the wrong case, a folder and a dangling link are told of, unless there is a Procfile', () => {
  assert.equal(procfileOddities('f procfile\n'), [
    'Mis-cased procfile detected; ignoring.',
    'Rename it to Procfile to have it honored.',
  ])
  assert.equal(procfileOddities('d Procfile\nf procfile\n'), ['Procfile is a folder, not a file; ignoring.'])
  assert.equal(procfileOddities('N Procfile\n'), ['Procfile is a symbolic link that leads to no file; ignoring.'])
  for (const fine of ['', 'f Procfile\n', 'f PROCFILE\nf Procfile\n', 'd procfile\n'])
    assert.equal(procfileOddities(fine), [], fine)
})

test.run()
