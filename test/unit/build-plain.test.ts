import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createPlain } from '../../daemon/build/plain.ts'

/** What is left of these pieces of one output. */
function shown(...pieces: (string | Buffer)[]): string {
  const plain = createPlain()
  return Buffer.concat([...pieces.map((piece) => plain.push(piece)), plain.end()]).toString()
}

const ESC = '\x1b'

test('text, line ends, tabs, progress bars and colours pass as they are', () => {
  const text = `-----> ü 世 🚀\r\n\tone\r 50%\r100%\n${ESC}[1;31m !     red${ESC}[0m ${ESC}[38;5;208mx${ESC}[m${ESC}[4:3m\n`
  assert.is(shown(text), text)
})

for (const [what, sequence] of Object.entries({
  'a cursor that moves up': `${ESC}[3A`,
  'a cleared screen': `${ESC}[2J${ESC}[H`,
  'a private mode': `${ESC}[?1049h`,
  'a title': `${ESC}]0;root@host${'\x07'}`,
  'a clipboard (OSC 52)': `${ESC}]52;c;cm0gLXJm${ESC}\\`,
  'a device string': `${ESC}P$q"p${ESC}\\`,
  'a question that the terminal answers': `${ESC}[6n${ESC}Z`,
  'a reset': `${ESC}c`,
  'another character set': `${ESC}(0`,
  'a sequence of 8-bit controls': '\x9b2J\x9d0;title\x9c',
  'NUL, BEL, backspace, DEL': '\0\x07\b\x7f',
}))
  test(`it takes out ${what}, whole or cut anywhere`, () => {
    const bytes = Buffer.from(`a${sequence}b\n`)
    assert.is(shown(bytes), 'ab\n')
    for (let cut = 1; cut < bytes.length; cut++) assert.is(shown(bytes.subarray(0, cut), bytes.subarray(cut)), 'ab\n')
  })

test('a title that never ends hides no more than its line', () => {
  assert.is(shown(`a${ESC}]0;never`, ' ended\nnext\n'), 'a\nnext\n')
  assert.ok(
    shown(`${ESC}]0;`, ...Array.from({ length: 1000 }, () => 'x'.repeat(100))).length > 90_000,
    'nor is it held',
  )
})

test('characters cut between pieces are whole, and bytes that are none become U+FFFD', () => {
  const euro = Buffer.from('€')
  assert.is(shown(euro.subarray(0, 1), euro.subarray(1)), '€')
  assert.is(shown(Buffer.from([0x61, 0xff, 0xc3, 0x28])), 'a\ufffd\ufffd(')
  assert.is(shown(euro.subarray(0, 2), '-----> ours\n'), '\ufffd-----> ours\n')
})

test('no output takes long', () => {
  for (const line of [
    '\u0090'.repeat(4095),
    `${'\u0090'.repeat(4095)}${ESC} `,
    '\x9b'.repeat(4095),
    `${ESC} `.repeat(2000),
  ])
    assert.is(shown(...Array.from({ length: 500 }, () => `${line}\n`)).replaceAll('\n', ''), '')
})

test.run()
