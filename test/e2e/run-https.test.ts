import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startPlatform } from './platform.ts'
import { type Source, web } from './source.ts'
import { LASTING, type Terminal } from './terminal.ts'
import { waitFor } from './wait.ts'

/** `heroku run` for clients that do not have the platform's authority: over HTTPS and SSH, which brings resizing and true ends of file. */
const platform = await startPlatform({ SLUICE_ATTACH: 'https' })
const app = 'distant'
let source: Source
let terminal: Terminal

test.before(() =>
  platform.prepare(async () => {
    source = await platform.deploy(app, { web })
  }),
)
test.after(() => platform.stop())
test.before.each(async () => {
  terminal = await platform.terminal(source.dir)
})
test.after.each(() => terminal.close())

/** Nothing but what every machine trusts. */
const stranger = { NODE_EXTRA_CA_CERTS: '' }
const run = (args: string[], input = '') => platform.cli(['run', '--app', app, ...args], { env: stranger, input })
const oneOffs = async () => (await platform.dynos(app)).filter(({ type }) => type === 'run')

test("a command runs without a certificate of ours, its input is the client's to the last byte, and nothing is echoed", async () => {
  const input = 'line\n'.repeat(50_000)
  const { stdout, code, output } = await run(['wc -l'], input)
  assert.is(code, 0, output)
  assert.is(stdout.trim(), '50000')
  // the engine reads both outputs of a process at once, and may pass on the later one first
  const both = await run(['cat; echo oops >&2'], 'a\nb')
  assert.ok(['a\nboops\n', 'oops\na\nb'].includes(both.stdout), both.output)
})

test('the exit code passes', async () => {
  assert.is((await run(['--exit-code', '--', 'sh', '-c', 'exit 7'])).code, 7)
})

test('a megabyte of output arrives whole', async () => {
  const { stdout } = await run(['seq 1 150000'])
  assert.is(stdout, Array.from({ length: 150_000 }, (_, index) => `${index + 1}\n`).join(''))
})

test('a shell follows the size of its window, and ends with it', async () => {
  await terminal.enter(`NODE_EXTRA_CA_CERTS= heroku run bash --app ${app}`)
  await terminal.shows(/\$$/m)
  await terminal.enter('stty size')
  await terminal.shows(/^33 100$/m)
  await terminal.resize(120, 40)
  // what is typed need not come after the window's change, which goes another way
  await terminal.enter('clear; until stty size | grep "^40 120"; do sleep 0.1; done')
  await terminal.shows(/^40 120$/m)
  await terminal.enter(LASTING)
  await terminal.shows(/^lasting$/m)
  await terminal.press('C-c')
  await terminal.enter('echo still $((40 + 2))')
  await terminal.shows(/^still 42$/m)
  await terminal.close()
  await waitFor('the dyno to be gone', async () => (await oneOffs()).length === 0)
})

test('--no-tty is heeded at a terminal too', async () => {
  await terminal.enter(`NODE_EXTRA_CA_CERTS= heroku run --no-tty --app ${app} "tty; echo over"`)
  await terminal.shows(/^not a tty\nover$/m)
})

test('run:inside is as good', async () => {
  const { stdout, output } = await platform.cli(['run:inside', '--app', app, 'web.1', 'cat; echo $DYNO'], {
    env: stranger,
    input: 'piped\n',
  })
  assert.is(stdout, 'piped\nweb.1\n', output)
})

test('sluice run is as good, and knows the authority by itself', async () => {
  const { stdout, stderr, code } = await platform.sluice(['run', '-x', '--app', app, 'cat; exit 7'], { input: 'a\nb' })
  assert.equal([stdout, code], ['a\nb', 7], stderr)
})

test.run()
