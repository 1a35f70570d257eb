import { randomBytes } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ago, distance, utc } from '../../cli/heroku/ago.ts'
import { parsed } from '../../cli/heroku/config-edit.ts'
import { picked } from '../../cli/heroku/confirm.ts'
import { apex } from '../../cli/heroku/domain-list.ts'
import { parsed as manifest } from '../../cli/heroku/manifest.ts'
import { guess } from '../../cli/heroku/pipeline.ts'
import { quote, unquote } from '../../cli/heroku/quote.ts'
import { commandOf } from '../../cli/heroku/run.ts'
import { createOutput } from '../../cli/heroku/run-output.ts'
import { csv, grid } from '../../cli/heroku/table.ts'

const MARK = '\uFFFF heroku-command-exit-status: '

/** What is shown of an output that comes in pieces of `length` bytes, and the exit code. */
function shown(bytes: Buffer, length: number, options: { marked: boolean; lines: boolean }) {
  const output = createOutput(options)
  const pieces: Buffer[] = []
  for (let from = 0; from < bytes.length; from += length) pieces.push(output.push(bytes.subarray(from, from + length)))
  pieces.push(output.end())
  return { bytes: Buffer.concat(pieces), code: output.exitCode() }
}

test('the exit code is taken out of the output of a one-off process, wherever its mark is cut', () => {
  const text = `first \uFFFF line\r\nno newline${MARK}17\r\n`
  for (const length of [1, 2, 3, 7, 16, 1000]) {
    const { bytes, code } = shown(Buffer.from(text), length, { marked: true, lines: true })
    assert.equal([bytes.toString(), code], ['first \uFFFF line\nno newline', 17], `in pieces of ${length}`)
  }
})

test('of what is no mark, not a byte is lost', () => {
  // no digit behind the mark: that would be an exit code
  const noise = Buffer.concat([randomBytes(5000), Buffer.from(`${MARK}x`), randomBytes(500), Buffer.from('\uFFFF')])
  for (const length of [1, 33, 4096])
    for (const marked of [true, false])
      assert.is(Buffer.compare(shown(noise, length, { marked, lines: false }).bytes, noise), 0, `${length} ${marked}`)
  const unasked = shown(Buffer.from(`${MARK}3\n`), 5, { marked: false, lines: false })
  assert.equal([unasked.bytes.toString(), unasked.code], [`${MARK}3\n`, undefined])
})

test('one word of a command is taken as it is, several are quoted where a shell would break them', () => {
  assert.is(commandOf(['rake "db:migrate" && true']), 'rake "db:migrate" && true')
  assert.is(commandOf(['sh', '-c', 'echo "a b"']), 'sh -c "echo \\"a b\\""')
  assert.throws(() => commandOf([]), /Usage: sluice run COMMAND/)
})

test('values of config vars are quoted for a shell, and read as they were', () => {
  assert.equal(['plain', 'two words', "it's $5", 'a\nb'].map(quote), [
    'plain',
    "'two words'",
    '"it\'s \\$5"',
    '"a\\nb"',
  ])
  const values = ['', 'plain', 'a b', "it's", '"', '\\', '\\n', 'a\nb', '$HOME `x` !', 'ü€', "'\n\"\\n'"]
  for (const value of values) assert.is(unquote(quote(value)), value, JSON.stringify(value))
  const text = values.map((value, n) => `K${n}=${quote(value)}`).join('\n')
  assert.equal(Object.values(parsed(text)), values)
  assert.throws(() => unquote('"open'), /Invalid token: "open/)
  assert.throws(() => unquote('two words'), /Invalid token/)
  assert.throws(() => parsed('A=1\nnonsense'), /Invalid line: nonsense/)
})

/** What is written to stdout meanwhile. */
function written(print: () => void): string {
  const { write } = process.stdout
  let text = ''
  process.stdout.write = ((chunk: string) => {
    text += chunk
    return true
  }) as typeof write
  try {
    print()
  } finally {
    process.stdout.write = write
  }
  return text
}

test('a table is straight whatever names hold, and nothing in it has power over the terminal', () => {
  const rows = ['plain', '世界', 'two\nlines', 'evil\x1b]0;title\x07\x1b[2J\r']
  const columns = { Name: (name: string) => name, Size: () => 1 }
  assert.equal(written(() => grid(columns, rows)).split('\n'), [
    '  Name              Size',
    ' ────────────────────────',
    '  plain             1',
    '  世界              1',
    '  two lines         1',
    '  evil]0;title[2J   1',
    '',
    '',
  ])
  assert.is(
    written(() => csv({ 'A,B': (text: string) => text }, ['x', 'say "y"'])),
    '"A,B"\nx\n"say ""y"""\n',
  )
})

test('times are told as the official CLI does', () => {
  const now = Date.parse('2026-11-17T16:37:41Z')
  const before = (seconds: number): string => new Date(now - seconds * 1000).toISOString()
  assert.match(ago(before(5), now), /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d [+-]\d{4} \(~ 5s ago\)$/)
  assert.match(ago(before(3599), now), /\(~ 59m ago\)$/)
  assert.match(ago(before(24.9 * 3600), now), /\(~ 24h ago\)$/)
  assert.match(ago(before(25 * 3600), now), /[+-]\d{4}$/)
  assert.is(utc('2026-11-17T16:37:41Z'), '2026-11-17 16:37 UTC')
  const distances: [number, string][] = [
    [20, 'less than a minute'],
    [60, '1 minute'],
    [44 * 60, '44 minutes'],
    [3600, 'about 1 hour'],
    [36 * 3600, '1 day'],
    [72 * 3600, '3 days'],
    [40 * 86_400, 'about 1 month'],
    [400 * 86_400, 'about 1 year'],
  ]
  for (const [seconds, text] of distances) assert.is(distance(before(seconds), now), text)
})

test('a domain of its own right gets an ALIAS, one below it a CNAME', () => {
  const names = [
    'example.com',
    'www.example.com',
    '*.example.com',
    'example.co.uk',
    'www.example.co.uk',
    'a.b.example.org',
  ]
  assert.equal(names.map(apex), [true, false, false, true, false, false])
})

test('several of a list are picked by their numbers, each once', () => {
  assert.equal(picked('3, 1-2 2', 3), [2, 0, 1])
  assert.equal(picked('all', 2), [0, 1])
  assert.equal(picked(' ', 2), [])
  assert.equal(picked('all', 0), [])
  for (const wrong of ['0', '4', '2-1', 'x', '1-', '-1', '1e1'])
    assert.throws(() => picked(wrong, 3), /is none of the numbers from 1 to 3\. Nothing was changed/, wrong)
})

test('of a heroku.yml the config vars are taken, as text, and what makes no sense is told', async () => {
  assert.equal(await manifest('setup:\n  config:\n    A: text\n    B: 1\n    C: true\n'), {
    config: { A: 'text', B: '1', C: 'true' },
  })
  for (const empty of ['', 'build: {}', 'setup: {}', '- list']) assert.equal(await manifest(empty), { config: {} })
  for (const [text, says] of [
    ['setup: {config: {A: [1]}}', /setup\.config\.A in heroku\.yml is no text/],
    ['setup: {config: {A: }}', /setup\.config\.A in heroku\.yml is no text/],
    ['setup: {config: [A]}', /setup\.config in heroku\.yml is no list/],
    ['setup: {addons: [{plan: x}]}', /no add-ons on this platform/],
    ['setup: {', /heroku\.yml is no YAML/],
  ] as const) {
    const refused = await manifest(text).then(
      () => 'taken',
      ({ message }: Error) => message,
    )
    assert.match(refused, says)
  }
})

test("a pipeline's stage is guessed from the app's name", () => {
  assert.equal(guess('shop-staging'), { name: 'shop', stage: 'staging' })
  assert.equal(guess('shop-qa'), { name: 'shop', stage: 'development' })
  assert.equal(guess('shop'), { name: 'shop', stage: 'production' })
})

test.run()
