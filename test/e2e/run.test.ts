import { createHash } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { interrupt, type Outcome } from './command.ts'
import { startPlatform } from './platform.ts'
import { type Source, sampleFiles, web } from './source.ts'
import { waitFor } from './wait.ts'

/** `heroku run` as scripts use it: without a terminal on the client's side (A13). */
const platform = await startPlatform()
const app = 'errand'
let source: Source

test.before(() =>
  platform.prepare(async () => {
    await platform.createApp(app)
    source = await platform.createSource(
      sampleFiles({
        web,
        worker: 'echo worked for',
        loop: 'sleep 600',
        console: 'echo 1 + 1 is $((1 + 1))',
        rake: 'echo raked',
      }),
    )
  }),
)
test.after(() => platform.stop())

const heroku = (...args: string[]) => platform.heroku([...args, '--app', app])
const run = (...args: string[]) => platform.cli(['run', '--app', app, ...args])

async function ran(...args: string[]): Promise<Outcome> {
  const outcome = await run(...args)
  assert.is(outcome.code, 0, outcome.output)
  return outcome
}

const oneOffs = async () => (await platform.dynos(app)).filter(({ type }) => type !== 'web')
const gone = () =>
  waitFor('the one-off dynos to be gone', async () => {
    const containers = await platform.containers(app)
    return (await oneOffs()).length === 0 && containers.length === 1
  })
const logs = async (...args: string[]) => (await heroku('logs', '--num', '1500', ...args)).stdout

test('before the first deploy there is nothing to run', async () => {
  const outcome = await run('true')
  assert.is(outcome.code, 2, outcome.output)
  assert.match(outcome.stderr, /There is no code to run yet\./)
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
})

test('a command says what it has to say, in any script', async () => {
  const { stdout, stderr } = await ran('echo', 'Hello,', '世界')
  assert.is(stdout, 'Hello, 世界\n')
  assert.match(stderr, /Running echo Hello, 世界 on .*errand\.\.\. up, run\.\d{4}/)
})

test('quotes, dashes and pipes come to the shell as they were written', async () => {
  assert.is((await ran('echo "a  b" | tr a-z A-Z; echo \'$HOME\' $HOME')).stdout, 'A  B\n$HOME /app\n')
  assert.is((await ran('--', 'printf', '%s-%s', '-x', '--long')).stdout, '-x---long')
})

test('the exit code passes with --exit-code, and is left out without', async () => {
  assert.is((await run('--exit-code', '--', 'sh', '-c', 'exit 7')).code, 7)
  assert.is((await run('-x', 'true')).code, 0)
  assert.is((await run('sh -c "exit 7"')).code, 0)
  const bogus = await run('-x', 'no-such-command')
  assert.is(bogus.code, 127)
  assert.match(bogus.output, /no-such-command: command not found/)
})

test('heroku console and rake run what the Procfile calls so', async () => {
  assert.match((await heroku('console')).stdout, '1 + 1 is 2')
  assert.match((await heroku('rake', '--exit-code', 'db:migrate')).stdout, 'raked db:migrate')
})

test('a megabyte of output arrives whole', async () => {
  const { stdout } = await ran('--no-tty', 'seq 1 150000')
  const wanted = Array.from({ length: 150_000 }, (_, index) => `${index + 1}\n`).join('')
  assert.is(stdout.length, wanted.length)
  assert.is(createHash('sha256').update(stdout).digest('hex'), createHash('sha256').update(wanted).digest('hex'))
  assert.is((await ran('seq 1 150000')).stdout.length, wanted.length)
})

test('input is piped in, to its end', async () => {
  const input = 'line\n'.repeat(50_000)
  const outcome = await platform.cli(['run', '--app', app, '--no-tty', 'wc -l'], { input })
  assert.is(outcome.stdout.trim(), '50000', outcome.output)
  assert.is((await platform.cli(['run', '--app', app, '--no-tty', 'cat'], { input: '一\n二' })).stdout, '一\n二')
})

test('it has the config vars, those that were just set too, and what -e gives it; no PORT', async () => {
  await heroku('config:set', 'COLOUR=blue green', 'TAKEN=no')
  const { stdout } = await ran('-e', 'TAKEN=yes;EXTRA=1', 'env')
  for (const line of [/^COLOUR=blue green$/m, /^TAKEN=yes$/m, /^EXTRA=1$/m, /^DYNO=run\.\d{4}$/m, /^HOME=\/app$/m])
    assert.match(stdout, line)
  assert.not.match(stdout, /^PORT=/m)
  assert.not.match(stdout, /sluice/i)
})

test('it runs the slug as an unprivileged user with limits, on the network of its app', async () => {
  const { stdout } = await ran('ls; id -u; cat /proc/self/status | grep CapEff; touch written')
  assert.match(stdout, /server\.pl/)
  assert.match(stdout, /^1000$/m)
  assert.match(stdout, /CapEff:\s+0+$/m)
  assert.not.match((await ran('ls')).stdout, /written/)
})

test('a process type stands for its command, and takes arguments', async () => {
  assert.is((await ran('worker', '42', 'days')).stdout, 'worked for 42 days\n')
})

test('--size and --type name what it runs as; ps shows it, and ps:stop ends it', async () => {
  const session = run('--size', 'standard-2x', '--type', 'chore', 'loop')
  const dyno = await waitFor('the dyno to be up', async () =>
    (await oneOffs()).find(({ type, state }) => type === 'chore' && state === 'up'),
  )
  assert.match(dyno.name, /^chore\.\d{4}$/)
  const { stdout } = await heroku('ps')
  assert.match(stdout, new RegExp(`${dyno.name.replace('.', '\\.')}.*up`))
  assert.match(stdout, /Standard-2X/)
  assert.is((await heroku('ps:stop', '--dyno-name', dyno.name)).code, 0)
  assert.is((await session).code, 0)
  await gone()
})

test('sizes, types and environments that cannot be are refused in words', async () => {
  assert.match((await run('--size', 'enormous', 'true')).stderr, /No such dyno size: enormous/)
  assert.match((await run('--type', 'a b', 'true')).stderr, /at most 63 letters/)
  assert.match((await run('-e', '1A=x', 'true')).stderr, /"1A" is not a valid name/)
})

test('run:detached runs on its own, its output goes to the logs, and its end is told', async () => {
  const { stdout, stderr, code } = await platform.cli([
    ...['run:detached', '--app', app, 'echo from afar; echo oops >&2; exit 3'],
  ])
  assert.is(code, 0, stdout + stderr)
  const name = /run\.\d{4}/.exec(stdout + stderr)?.[0] ?? ''
  await gone()
  const lines = await logs('--dyno-name', name)
  for (const line of [
    / app\[run\.\d{4}\]: from afar$/m,
    / app\[run\.\d{4}\]: oops$/m,
    / heroku\[run\.\d{4}\]: Starting process with command `echo from afar; echo oops >&2; exit 3`$/m,
    / heroku\[run\.\d{4}\]: State changed from starting to up$/m,
    / heroku\[run\.\d{4}\]: Process exited with status 3$/m,
    / heroku\[run\.\d{4}\]: State changed from up to complete$/m,
  ])
    assert.match(lines, line)
})

test("what an attached command prints is its client's alone; the logs tell that it ran", async () => {
  await ran('echo for your eyes only')
  await gone()
  const lines = await logs()
  assert.not.match(lines, /app\[run\.\d{4}\]: for your eyes only/)
  assert.match(lines, /heroku\[run\.\d{4}\]: Starting process with command `echo for your eyes only`/)
  assert.match(lines, /app\[api\]: Starting process with command `echo for your eyes only` by user admin@sluice/)
})

test('run:inside runs in a dyno that is there, with its files and environment', async () => {
  await ran('true')
  const { stdout, code, output } = await platform.cli(['run:inside', '--app', app, 'web.1', 'env; ls'])
  assert.is(code, 0, output)
  assert.match(stdout, /^DYNO=web\.1\s*$/m)
  assert.match(stdout, /server\.pl/)
  assert.is((await platform.cli(['run:inside', '-x', '--app', app, 'web.1', '--', 'sh', '-c', 'exit 9'])).code, 9)
  const none = await platform.cli(['run:inside', '--app', app, 'web.9', 'true'])
  assert.is(none.code, 2)
  assert.match(none.stderr, /Couldn't find that dyno/)
})

test('sluice runs commands as well: output, input to its end, exit codes, detached, inside, and logs over a restart', async () => {
  const sluice = (args: string[], input = '') => platform.sluice([...args, '--app', app], { input })
  const tail = sluice(['logs', '--tail', '--source', 'app'])
  const lines = 'line\n'.repeat(50_000)
  const [coded, counted, long, inside, detached, unknown] = await Promise.all([
    platform.sluice(['run', '-x', '--app', app, '--', 'sh', '-c', 'echo "a  b"; exit 7']),
    sluice(['run', '--no-tty', 'wc -l'], lines),
    sluice(['run', 'seq 1 150000']),
    platform.sluice(['run:inside', '-x', '--app', app, 'web.1', '--', 'sh', '-c', 'echo $DYNO; exit 9']),
    sluice(['run:detached', 'echo from sl""uice']),
    sluice(['run:inside', 'web.9', 'true']),
  ])
  assert.equal([coded.code, coded.stdout], [7, 'a  b\n'], coded.output)
  assert.match(coded.stderr, /^Running sh -c "echo \\"a {2}b\\"; exit 7" on errand\.\.\. up, run\.\d{4}$/m)
  assert.is(counted.stdout.trim(), '50000', counted.output)
  assert.is(long.stdout, Array.from({ length: 150_000 }, (_, index) => `${index + 1}\n`).join(''))
  assert.equal([inside.code, inside.stdout], [9, 'web.1\n'], inside.output)
  assert.match(detached.output, /\.\.\. done, run\.\d{4}\nRun sluice logs --app errand --dyno run\.\d{4} to view/)
  assert.equal([unknown.code, unknown.stderr.includes("Couldn't find that dyno")], [2, true])
  await waitFor('the line in the tail', () => tail.sofar().includes(': from sluice\n'))
  await platform.daemon.kill()
  await platform.startDaemon()
  assert.is((await sluice(['run:detached', 'echo again from sl""uice'])).code, 0)
  await waitFor('the tail to go on', () => tail.sofar().includes(': again from sluice\n'))
  interrupt(tail)
  await tail
  await gone()
})

test('a client that goes away takes its dyno with it: SIGHUP first', async () => {
  const session = run('trap "echo got hup; exit" HUP; echo re""ady; while true; do sleep 0.1; done')
  await waitFor('the command to run', () => session.sofar().includes('ready'))
  interrupt(session, 'SIGKILL')
  await session
  await gone()
  assert.match(await logs(), /heroku\[run\.\d{4}\]: Process exited with status 0/)
})

test('a deploy and a restart leave a one-off dyno alone; a daemon that is killed or stopped ends it', async () => {
  const session = run('echo on $(cat version); exec sleep 600')
  await waitFor('the command to run', () => session.sofar().includes('on v1'))
  const [before] = await waitFor('it to be alone', async () => {
    const all = await oneOffs()
    return all.length === 1 && all
  })
  await source.version('v2')
  assert.is((await platform.push(source, app)).code, 0)
  await heroku('ps:restart')
  assert.equal(
    (await oneOffs()).map(({ id, state }) => [id, state]),
    [[before?.id, 'up']],
  )
  assert.is((await ran('cat version')).stdout, 'v2\n')
  await platform.daemon.kill('SIGKILL')
  await session
  await platform.startDaemon()
  await gone()
  const other = run('echo an""other; exec sleep 600')
  await waitFor('the command to run', () => other.sofar().includes('another'))
  await platform.daemon.kill()
  await other
  await platform.startDaemon()
  await gone()
})

test('none lives longer than it may', async () => {
  // more than the engine takes to start it
  const wanted = { command: 'sleep 600', time_to_live: 10 }
  const { name } = await platform.api<{ name: string }>('POST', `/apps/${app}/dynos`, wanted)
  await gone()
  const lines = await logs('--dyno-name', name)
  assert.match(
    lines,
    /: Cycling\n[^\n]*: State changed from up to complete\n[^\n]*: Stopping all processes with SIGTERM/,
  )
})

test('one-off dynos are counted', async () => {
  const start = () => platform.api<{ name: string }>('POST', `/apps/${app}/dynos`, { command: 'sleep 600' })
  const names = new Set((await Promise.all(Array.from({ length: 20 }, start))).map(({ name }) => name))
  assert.is(names.size, 20)
  const refusal = await start().then(
    () => 'none',
    (error: Error) => error.message,
  )
  assert.match(refusal, /At most 20 one-off dynos of an app run at once/)
})

test('an app that is destroyed takes its one-off dynos with it', async () => {
  await heroku('apps:destroy', '--confirm', app)
  await waitFor('all to be gone', async () => (await platform.containers()).length === 0, { within: 90_000 })
})

test.run()
