import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Process, Terminal } from '../../daemon/engine/engine.ts'
import { limits } from '../../daemon/limits.ts'
import { call, listContainers } from '../e2e/engine.ts'
import { waitFor } from '../e2e/wait.ts'
import { createDockerRig } from '../engine/docker-rig.ts'
import { appOf, hold, outputOf, printed, type Rig, reading, textOf } from '../engine/rig.ts'

const rig = await createDockerRig(5)
test.after(() => rig.close())
const engine = rig.engine()

const pipes: Terminal = { kind: 'pipes' }
const tty: Terminal = { kind: 'tty', columns: 90, rows: 30 }
const PATH = 'PATH=/usr/bin:/bin'
const shell = 'exec bash --norc -i'
const idle = 'while :; do sleep 0.1; done'

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

/** Two jobs in groups of their own, one of them in the foreground. */
async function typeJobs(process: Process): Promise<ReturnType<typeof reading>> {
  const read = reading(process)
  process.input.write('echo jobs $((40 + 2)); sleep 601 &\n')
  await read.sees('jobs 42')
  process.input.write('echo more $((40 + 3)); sleep 602\n')
  await read.sees('more 43')
  return read
}

/** Commands of the processes that the engine sees in a dyno. */
async function processesOf(id: string): Promise<string[]> {
  const container = (await listContainers(rig.installation)).find(({ Labels }) => Labels['sluice.id'] === id)
  const { Processes } = await call<{ Processes: string[][] }>(
    'GET',
    `/containers/${container?.Id}/top?ps_args=-eo%20pid,args`,
  )
  return Processes.map(([, args = '']) => args)
}

const until = (id: string, what: string, look: (commands: string[]) => boolean) =>
  waitFor(what, async () => look(await processesOf(id)))

check('a shell with jobs ends at once when its client goes, and when it is stopped', async ({ spec }) => {
  for (const hangup of [60_000, undefined]) {
    const dyno = spec(shell, { terminal: tty, env: [PATH, 'TERM=dumb'] })
    const process = await hold(engine, dyno)
    await typeJobs(process)
    const before = performance.now()
    await engine.stop(dyno.id, 60_000, hangup)
    assert.ok(performance.now() - before < 50_000)
    assert.is(await process.exit, 129)
  }
})

check('what ^Z has stopped ends at once as well', async ({ spec }) => {
  const dyno = spec('echo ready; sleep 600', { terminal: tty })
  const process = await hold(engine, dyno)
  const read = reading(process)
  await read.sees('ready')
  process.input.write('\x1a')
  await read.sees('^Z')
  const before = performance.now()
  await engine.stop(dyno.id, 60_000)
  assert.ok(performance.now() - before < 50_000)
})

check(
  'the shell of a further process ends with all its jobs when it is hung up, and nothing else does',
  async ({ spec }) => {
    const { id } = await engine.start(spec('sleep 600 & sleep 601', { env: [PATH, 'TERM=dumb'] }))
    const process = await engine.exec({ id, command: shell, env: [], terminal: tty })
    const read = await typeJobs(process)
    await until(id, 'the second job', (commands) => commands.includes('sleep 602'))
    process.input.write('\x1a')
    await read.sees('Stopped')
    await process.hangup()
    assert.is(await process.exit, 129)
    const sleeps = (commands: string[]) => commands.filter((one) => one.startsWith('sleep')).sort()
    await until(id, 'those of the dyno to be left', (commands) => sleeps(commands).join() === 'sleep 600,sleep 601')
  },
)

check('a dyno stops at once although a shell with jobs is open in it', async ({ spec }) => {
  const dyno = spec(`trap 'echo finished; exit 5' TERM; echo ready; ${idle}`)
  await engine.start(dyno)
  await printed(engine, dyno.id, 'ready')
  const process = await engine.exec({ id: dyno.id, command: shell, env: ['TERM=dumb'], terminal: tty })
  await typeJobs(process)
  const log = outputOf(engine, dyno.id)
  const before = performance.now()
  const [chunks] = await Promise.all([log, engine.stop(dyno.id, 60_000)])
  assert.ok(performance.now() - before < 50_000)
  assert.match(textOf(chunks), /finished\n/)
  assert.ok((await process.exit) > 128)
})

check('a further process that ignores SIGHUP and SIGTERM is killed, with its children', async ({ spec }) => {
  const { id } = await engine.start(spec('exec sleep 600'))
  const command = `trap "" HUP TERM; (trap "" HUP TERM; sleep 603) & echo ready; ${idle}`
  const process = await engine.exec({ id, command, env: [], terminal: pipes })
  await reading(process).sees('ready')
  const before = performance.now()
  await process.hangup()
  const took = performance.now() - before
  const least = limits.hangup + limits.stopGrace - 10
  assert.ok(took >= least, `took ${took} ms`)
  assert.is(await process.exit, 137)
  await until(id, 'its end', (commands) => !commands.some((one) => one.startsWith('sleep 603')))
})

test.run()
