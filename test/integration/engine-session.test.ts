import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Process, Terminal } from '../../daemon/engine/engine.ts'
import { call, listContainers } from '../e2e/engine.ts'
import { createDockerRig } from '../engine/docker-rig.ts'
import { appOf, hold, printed, type Rig, reading } from '../engine/rig.ts'

const rig = await createDockerRig(4)
test.after(() => rig.close())
const engine = rig.engine()

const pipes: Terminal = { kind: 'pipes' }
const tty: Terminal = { kind: 'tty', columns: 90, rows: 30 }
const PATH = 'PATH=/usr/bin:/bin'

const textFrom = (process: Process): Promise<string> => reading(process).end()

/** A test with an app of its own, which leaves nothing. */
const check = (name: string, body: (app: ReturnType<typeof appOf>) => Promise<void>) =>
  test(name, async () => {
    const app = appOf(rig as Rig)
    try {
      await body(app)
    } finally {
      await engine.removeApp(app.id)
    }
    assert.equal(await rig.leftovers(), [])
  })

check(
  'a further process sees the files, the config vars and the profile of its dyno, and its own',
  async ({ spec }) => {
    const command = 'echo written > /app/note; echo ready; exec sleep 600'
    const { id } = await engine.start(spec(command, { env: [PATH, 'KEY= a  b\n', 'OWN=of the dyno'] }))
    await printed(engine, id, 'ready')
    const show = 'cat note; echo "$FROM_A|$FROM_B|$FROM_PROFILE|$KEY|$OWN|$PWD|$TERM"; id -u'
    for (const terminal of [pipes, tty]) {
      const env = ['OWN=of the exec', 'TERM=vt100']
      const process = await engine.exec({ id, command: show, env, terminal })
      const text = (await textFrom(process)).replaceAll('\r\n', '\n')
      assert.is(text, 'written\nof a|of b|last| a  b\n|of the exec|/app|vt100\n1000\n')
    }
  },
)

check('a further process has no capabilities and no way to get any', async ({ spec }) => {
  const { id } = await engine.start(spec('exec sleep 600'))
  const command = `while read -r key value; do case $key in Cap*|NoNewPrivs:|Seccomp:) echo "$key $value";; esac; done < /proc/self/status; touch /etc/x 2>/dev/null || echo refused`
  const process = await engine.exec({ id, command, env: [], terminal: pipes })
  const none = '0000000000000000'
  assert.equal((await textFrom(process)).trim().split('\n'), [
    ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => `${name}: ${none}`),
    'NoNewPrivs: 1',
    'Seccomp: 2',
    'refused',
  ])
})

check('A4: the environment is byte-exact with a client too, and nothing of ours is in it', async ({ spec }) => {
  const env = [PATH, 'HOME=/app', 'KEY=  世界 $HOME `id`\n\n"x" ', 'EMPTY=', 'TERM=dumb', 'COLUMNS=90', 'LINES=30']
  const show = 'cat /proc/self/environ; [ -z "$(declare -F)" ] || echo functions; echo "fds" /proc/self/fd/*'
  const expected = [...env, 'FROM_A=of a', 'FROM_B=of b', 'FROM_PROFILE=last'].sort()
  const seen = (text: string) => {
    const entries = text.replaceAll('\r\n', '\n').split('\0')
    // stdin, stdout, stderr, and one more for the shell to look into the folder.
    assert.match(entries.pop() ?? '', /^fds( \/proc\/self\/fd\/\d+){3,4}\n$/)
    const platform = /^(HOSTNAME|SHLVL|_|PWD)=/
    return entries.filter((entry) => !platform.test(entry)).sort()
  }
  const withPath = (entry: string) => (entry === PATH ? 'PATH=/app/bin:/usr/bin:/bin' : entry)
  for (const terminal of [pipes, tty]) {
    const dyno = spec(`${show}; exec sleep 600`, { env, terminal })
    const held = reading(await hold(engine, dyno))
    await held.sees('fds')
    const process = await engine.exec({ id: dyno.id, command: show, env: [], terminal })
    assert.equal(seen(await latin(process)), expected.map(withPath).sort())
    await engine.stop(dyno.id, 0)
    const text = Buffer.from(await held.end(), 'latin1').toString()
    assert.equal(seen(text), expected.map(withPath).sort())
  }
})

const latin = async (process: Process): Promise<string> => Buffer.from(await textFrom(process), 'latin1').toString()

check('what a client says and hears is kept nowhere', async ({ spec }) => {
  const dyno = spec('cat', { terminal: pipes })
  await hold(engine, dyno)
  const [container] = await listContainers(rig.installation)
  const { HostConfig } = await call<{ HostConfig: { LogConfig: object } }>('GET', `/containers/${container?.Id}/json`)
  assert.equal(HostConfig.LogConfig, { Type: 'none', Config: {} })
  assert.is(container?.Labels['sluice.attached'], 'true')
})

check('the last bytes reach a client that reads after a pause longer than the engine’s patience', async ({ spec }) => {
  // About as much as fits on the way, so that the command ends while nobody reads.
  const sizes = [1_300_000, 1_380_000, 1_420_000, 1_460_000]
  const { id } = await engine.start(spec('exec sleep 600'))
  const floods = async (size: number, terminal: Terminal) => [
    await hold(engine, spec(`head -c ${size} /dev/zero`, { terminal, memory: 64 * 1024 * 1024 })),
    await engine.exec({ id, command: `head -c ${size} /dev/zero`, env: [], terminal }),
  ]
  const all = await Promise.all(sizes.map((size) => floods(size, size === sizes[0] ? tty : pipes)))
  // The pause itself is what is tested.
  await delay(4000)
  for (const [index, processes] of all.entries())
    for (const process of processes) {
      assert.is((await textFrom(process)).length, sizes[index])
      assert.is(await process.exit, 0)
    }
})

test.run()
