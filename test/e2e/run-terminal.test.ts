import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeApp } from './node-app.ts'
import { startPlatform } from './platform.ts'
import { LASTING, type Terminal } from './terminal.ts'
import { waitFor } from './wait.ts'

/** `heroku run` as a person uses it: the official CLI in a real terminal. */
const platform = await startPlatform()
const app = 'console'
let dir = ''
let terminal: Terminal

test.before(() =>
  platform.prepare(async () => {
    await platform.createApp(app)
    const source = await platform.createSource(nodeApp('hello'))
    const { code, output } = await platform.push(source, app)
    assert.is(code, 0, output)
    await platform.git(source.dir, 'remote', 'add', 'heroku', `https://localhost:${platform.ports.api}/${app}.git`)
    dir = source.dir
  }),
)
test.after(() => platform.stop())

test.before.each(async () => {
  terminal = await platform.terminal(dir)
})
test.after.each(() => terminal.close())

const oneOffs = async () => (await platform.dynos(app)).filter(({ type }) => type === 'run')
/** Heroku's. */
const PROMPT = /^~ \$$/m

test('a shell has the size, the prompt and the keys of the terminal that it is in', async () => {
  await terminal.enter('heroku run bash')
  await terminal.shows(/Running bash on .*console\.\.\. up, run\.\d{4}/)
  await terminal.shows(PROMPT)
  await terminal.enter('stty size; tty; echo term=$TERM')
  await terminal.shows(/33 100\n\/dev\/pts\/\d+\nterm=\S+/)
  await terminal.enter('echo first-command')
  await terminal.shows(/^first-command$/m)
  await terminal.press('Up')
  await terminal.shows(/\$ echo first-command$/)
  await terminal.press('C-u')
  await terminal.enter('exit')
  await terminal.shows(/here>$/)
  await waitFor('the dyno to be gone', async () => (await oneOffs()).length === 0)
})

/** Ctrl-C ends what runs in the shell of a dyno, which goes on; Ctrl-D ends the shell. */
async function interruptsAndLeaves(): Promise<void> {
  await terminal.enter(LASTING)
  await terminal.shows(/^lasting$/m)
  await terminal.press('C-c')
  await terminal.shows(/\^C/)
  await terminal.enter('echo still $((40 + 2))')
  // an end of file that comes before the shell reads again is none
  await terminal.shows(/^still 42\n~ \$$/m)
  await terminal.press('C-d')
  await terminal.shows(/here>$/)
}

test('Ctrl-C interrupts what runs, not the session', async () => {
  await terminal.enter('heroku run bash')
  await terminal.shows(PROMPT)
  await interruptsAndLeaves()
})

test('a full-screen program draws on it, and leaves it as it was', async () => {
  await terminal.enter('heroku run "seq 1 500 | less"')
  await terminal.shows(/^32\n:$/m)
  await terminal.press('Space')
  await terminal.shows(/^33\n[\s\S]*^64\n:$/m)
  await terminal.press('G')
  await terminal.shows(/^500\n\(END\)$/m)
  await terminal.press('q')
  await terminal.shows(/here>$/)
})

test('a REPL reads, evaluates and prints, with colours', async () => {
  await terminal.enter('heroku run node')
  await terminal.shows(/^> ?$/m)
  await terminal.enter('6 * 7')
  await terminal.shows(/^42$/m)
  await terminal.enter('process.stdout.hasColors() + " " + process.stdout.columns')
  await terminal.shows(/^'true 100'$/m)
  await terminal.enter('.exit')
  await terminal.shows(/here>$/)
})

test('a shell inside a running dyno is as good', async () => {
  await terminal.enter('heroku run:inside web.1 bash')
  await terminal.shows(PROMPT)
  await terminal.enter('stty size; echo in=$DYNO; cat /proc/1/cmdline | tr "\\0" " " | head -c 20')
  await terminal.shows(/33 100\nin=web\.1/)
  await terminal.enter('exit')
  await terminal.shows(/here>$/)
})

test('a terminal that is closed ends what ran in it, background jobs too', async () => {
  await terminal.enter('heroku run bash')
  await terminal.shows(PROMPT)
  await terminal.enter('sleep 1000 & sleep 1001')
  await terminal.shows(/\[1\] \d+/)
  await terminal.close()
  await waitFor('the dyno to be gone', async () => {
    const containers = await platform.containers(app)
    return (await oneOffs()).length === 0 && containers.length === 1
  })
})

test('the exit code comes through a terminal too, and the marker is not seen', async () => {
  await terminal.enter('heroku run -x -- sh -c "exit 5"; echo "code $?"')
  const screen = await terminal.shows(/^code 5$/m)
  assert.not.match(screen, /heroku-command-exit-status/)
})

test('sluice run is as good, leaves the terminal as it was, and what destroys asks for the name', async () => {
  await terminal.enter(`sluice run bash --app ${app}`)
  await terminal.shows(/Running bash on console\.\.\. up, run\.\d{4}/)
  await terminal.shows(PROMPT)
  await interruptsAndLeaves()
  await terminal.enter('stty -a | grep -ow "icanon\\|echo"')
  await terminal.shows(/^icanon\necho$/m)
  await terminal.enter(`sluice destroy ${app}`)
  await terminal.shows(`To proceed, type ${app} or re-run this command with --confirm ${app}:`)
  await terminal.enter('another')
  await terminal.shows(`Confirmation did not match ${app}. Aborted.`)
})

test.run()
