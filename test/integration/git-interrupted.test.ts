import { readFile } from 'node:fs/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { DeployRequest } from '../../daemon/git/push.ts'
import { interrupt } from '../e2e/command.ts'
import { waitFor } from '../e2e/wait.ts'
import { type Copy, processes, type Rig, refused, startRig } from './git-rig.ts'

let rig: Rig
let copy: Copy
test.before.each(async () => {
  rig = await startRig()
  copy = await rig.copy()
  await copy.git('remote', 'add', 'heroku', rig.url)
})
test.after.each(() => rig.close())

const stored = async (): Promise<string> => (await copy.git('ls-remote', 'heroku', 'refs/heads/main')).stdout

/** The next deploy runs until its signal says stop, or until it is let. */
function endless(): { running: Promise<DeployRequest>; accept(): void } {
  let begun = (_: DeployRequest): void => {}
  let accept = (): void => {}
  const running = new Promise<DeployRequest>((resolve) => {
    begun = resolve
  })
  rig.behave((request) => {
    begun(request)
    request.output('-----> Building\n')
    return new Promise((resolve, reject) => {
      accept = resolve
      request.signal.addEventListener('abort', () => reject(refused('interrupted')))
    })
  })
  return { running, accept: () => accept() }
}

const aborted = (request: DeployRequest): Promise<unknown> =>
  waitFor('the deploy to be told to stop', () => request.signal.aborted)

/** Git and hook of a push are processes of ours; none may be left over. */
const nothingLeft = (): Promise<unknown> =>
  waitFor('the processes of the push to end', async () => (await processes(`${rig.app.id}.git`)).length === 0)

test('Ctrl-C during a deploy stops it: the branch does not move, nothing is left, the next push works', async () => {
  const deploy = endless()
  const push = copy.git('push', 'heroku', 'main')
  const request = await deploy.running
  await waitFor('the output', () => push.sofar().includes('remote: -----> Building'))
  interrupt(push)
  await push
  await aborted(request)
  await nothingLeft()
  assert.is(await stored(), '')
  rig.behave(async () => {})
  assert.is((await copy.git('push', 'heroku', 'main')).code, 0)
})

test('a client that vanishes when the deploy is accepted finds the branch where the deploy is', async () => {
  const deploy = endless()
  const push = copy.git('push', 'heroku', 'main')
  await deploy.running
  deploy.accept()
  interrupt(push, 'SIGKILL')
  await push
  await nothingLeft()
  const accepted = rig.deployed.length === 1 && (await stored()) !== ''
  rig.behave(async () => {})
  const again = await copy.git('push', 'heroku', 'main')
  assert.is(again.code, 0)
  assert.is(/up-to-date/.test(again.stderr), accepted)
})

test('a hook that is killed stops the deploy and refuses the push', async () => {
  const deploy = endless()
  const push = copy.git('push', 'heroku', 'main')
  const request = await deploy.running
  // Those of other tests run beside it.
  const environments = await Promise.all(
    (await processes('daemon/git/hook.js')).map(async (pid) => ({
      pid,
      text: await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
    })),
  )
  const hooks = environments.filter(({ text }) => text.includes(rig.host.d.config.data)).map(({ pid }) => pid)
  assert.is(hooks.length, 1)
  process.kill(Number(hooks[0]), 'SIGKILL')
  assert.match((await push).stderr, /pre-receive hook declined/)
  await aborted(request)
  assert.is(await stored(), '')
})

test('a platform that stops during a deploy says so and refuses the push', async () => {
  const deploy = endless()
  const push = copy.git('push', 'heroku', 'main')
  const request = await deploy.running
  const closing = rig.stopGit()
  const { code, stderr } = await push
  await closing
  assert.is(code, 1)
  assert.match(stderr, /The platform went away during this deploy\. Push again/)
  await aborted(request)
})

test('a second push is refused in clear words, and the first goes on', async () => {
  const first = endless()
  const push = copy.git('push', 'heroku', 'main')
  await first.running
  const other = await rig.copy()
  await other.commit({ 'index.js': 'other' })
  const second = await other.git('push', '--force', rig.url, 'main')
  assert.is(second.code, 1)
  assert.match(second.stderr, / ! {5}Another push to \S+ is in progress\. Push again when it has ended\./)
  first.accept()
  assert.is((await push).code, 0)
})

test('the id of a push works once and from its hook only', async () => {
  const { request } = await import('node:http')
  const ask = (id: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const call = request({
        socketPath: `${rig.host.d.config.data}/hook.sock`,
        method: 'POST',
        path: '/deploy',
        headers: { 'x-sluice-push': id },
      })
      call.on('response', (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      call.on('error', reject)
      call.end()
    })
  assert.is(await ask(''), 403)
  assert.is(await ask('guess'), 403)
  assert.is(rig.deployed.length, 0)
})

test.run()
