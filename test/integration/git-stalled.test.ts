import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Command, interrupt } from '../e2e/command.ts'
import { waitFor } from '../e2e/wait.ts'
import { type Copy, type Rig, startRig } from './git-rig.ts'

/** A git client that is stopped in the middle of a push, as by Ctrl-Z, while its build prints a lot. */
const MEGABYTES = 48
const MiB = 1024 * 1024
const line = `${'x'.repeat(1023)}\n`
const STALL = 3000

let rig: Rig
let copy: Copy
const pushes: Command[] = []
test.before.each(async () => {
  rig = await startRig({ stall: STALL })
  copy = await rig.copy()
  await copy.git('remote', 'add', 'heroku', rig.url)
})
test.after.each(async () => {
  // A stopped client of a test that failed would stay, and hold its pipes open.
  for (const push of pushes.splice(0)) interrupt(push, 'SIGKILL')
  await rig.close()
})

/** Starts a push and stops its client when it shows output; the deploy prints on after that, and says how much memory that took. */
async function pushStopped(): Promise<{ push: Command; grown: Promise<number> }> {
  let proceed = () => {}
  const stopped = new Promise<void>((resolve) => {
    proceed = resolve
  })
  let measured = (_: number) => {}
  const grown = new Promise<number>((resolve) => {
    measured = resolve
  })
  rig.behave(async ({ output }) => {
    output('-----> Building\n')
    await stopped
    const before = await held()
    for (let n = 0; n < MEGABYTES * 1024; n++) {
      output(line)
      if (n % 64 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    output('-----> Built\n')
    measured((await held()) - before)
  })
  const push = copy.git('push', 'heroku', 'main')
  pushes.push(push)
  await waitFor('the output', () => push.sofar().includes('remote: -----> Building'))
  interrupt(push, 'SIGSTOP')
  proceed()
  return { push, grown }
}

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** Buffers and strings alike, but no garbage: a busy machine is late to collect it, and frees what buffers had a moment later. */
async function held(): Promise<number> {
  for (let n = 0; n < 3; n++) {
    collectGarbage()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

test('the build of a stopped client ends and holds a bounded amount of memory; the client then reads what it missed', async () => {
  const { push, grown } = await pushStopped()
  assert.ok((await grown) < 24 * MiB, `${Math.round((await grown) / MiB)} MiB were held`)
  interrupt(push, 'SIGCONT')
  const { code, output } = await push
  assert.is(code, 0, output.slice(-1000))
  assert.match(
    output,
    /remote: {2}! {5}[\d,]+ bytes of output were left out here, because they were not read in time\./,
  )
  assert.match(output, /remote: {2}! {5}See `heroku logs --app sample --dyno build -n 1500`\./)
  assert.match(output, /remote: -----> Built/)
})

test('a client that stays stopped is let go, its branch is where the deploy is, and others can push', async () => {
  const { push, grown } = await pushStopped()
  await grown
  const head = (await copy.git('rev-parse', 'HEAD')).stdout.trim()
  await waitFor(
    'the branch to move',
    async () => (await copy.git('ls-remote', 'heroku', 'refs/heads/main')).stdout.startsWith(head),
    { every: 200 },
  )
  rig.behave(async ({ output }) => output('-----> Next\n'))
  await copy.commit({ 'next.js': 'next' })
  const next = await waitFor('another push to be let in', async () => {
    const outcome = await copy.git('push', 'heroku', 'main')
    return outcome.code === 0 && outcome
  })
  assert.match(next.output, /remote: -----> Next/)
  interrupt(push, 'SIGKILL')
  await push
})

test.run()
