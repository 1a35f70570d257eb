import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { waitFor } from '../e2e/wait.ts'
import { type Host, startHost } from './host.ts'
import { type HostProcess, startHostProcess } from './host-process.ts'

async function withHost(work: (host: Host) => Promise<void>): Promise<void> {
  const host = await startHost()
  try {
    await host.request('POST', '/apps', { body: { name: 'busy' } })
    await work(host)
  } finally {
    await host.close()
  }
}

test('fifty changes of config vars at the same time all land, each in a release of its own', () =>
  withHost(async (host) => {
    const names = Array.from({ length: 50 }, (_, index) => `VAR_${index}`)
    const set = (name: string) => host.request('PATCH', '/apps/busy/config-vars', { body: { [name]: name } })
    const answers = await Promise.all(names.map(set))
    assert.ok(answers.every(({ status }) => status === 200))
    const { json } = await host.request('GET', '/apps/busy/config-vars')
    assert.equal(json, Object.fromEntries(names.map((name) => [name, name])))
    const { json: releases } = await host.request('GET', '/apps/busy/releases')
    assert.equal(
      releases.map(({ version }: { version: number }) => version),
      Array.from({ length: 51 }, (_, index) => index + 1),
    )
  }))

test('scaling during deploys ends at the last word', () =>
  withHost(async (host) => {
    const app = await host.d.db.selectFrom('apps').selectAll().where('name', '=', 'busy').executeTakeFirstOrThrow()
    await host.deploy(app, { web: 'node .' })
    const deploying = (async () => {
      for (let count = 0; count < 10; count++) await host.deploy(app, { web: 'node .', worker: 'node worker.js' })
    })()
    let quantity = 0
    for (let count = 0; count < 25; count++) {
      quantity = 1 + ((count * 7) % 5)
      const { status } = await host.request('PATCH', '/apps/busy/formation/web', { body: { quantity } })
      assert.is(status, 200)
    }
    await deploying
    await host.settled()
    assert.is((await host.request('GET', '/apps/busy/formation/web')).json.quantity, quantity)
    const { json: dynos } = await host.request('GET', '/apps/busy/dynos')
    assert.is(dynos.filter(({ type }: { type: string }) => type === 'web').length, quantity)
  }))

test('of changes that name the version that they are for, one of many at the same time is made', () =>
  withHost(async (host) => {
    const etag = (await host.request('GET', '/apps/busy/config-vars')).headers.get('etag') ?? ''
    const set = (value: number) =>
      host.request('PATCH', '/apps/busy/config-vars', { body: { A: String(value) }, headers: { 'if-match': etag } })
    const answers = await Promise.all(Array.from({ length: 10 }, (_, value) => set(value)))
    const made = answers.filter(({ status }) => status === 200)
    assert.is(made.length, 1)
    assert.ok(
      answers.every(({ status, json }) => status === 200 || (status === 412 && json.id === 'precondition_failed')),
    )
    assert.equal((await host.request('GET', '/apps/busy/config-vars')).json, made[0]?.json)
  }))

const call = async ({ url, token }: HostProcess, method: string, path: string, body?: object): Promise<Response> =>
  fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })

test('what was acknowledged is there after a kill -9 at any moment', async () => {
  const data = await mkdtemp(join(tmpdir(), 'sluice-kill-'))
  const acknowledged: Record<string, string> = {}
  let host = await startHostProcess(data)
  try {
    assert.is((await call(host, 'POST', '/apps', { name: 'killed' })).status, 201)
    for (let round = 0; round < 5; round++) {
      const running = host
      const writers = Array.from({ length: 4 }, async (_, writer) => {
        for (let count = 0; ; count++) {
          const name = `R${round}_W${writer}_${count}`
          const answer = await call(running, 'PATCH', '/apps/killed/config-vars', { [name]: 'x' })
          if (answer.status !== 200) throw new Error(await answer.text())
          acknowledged[name] = 'x'
        }
      })
      const cut = Promise.allSettled(writers)
      await waitFor('an answer', () => Object.keys(acknowledged).some((name) => name.startsWith(`R${round}_`)))
      await delay(Math.random() * 400)
      running.child.kill('SIGKILL')
      if (running.child.exitCode === null) await once(running.child, 'exit')
      for (const one of await cut) assert.match(String(one.status === 'rejected' && one.reason), 'fetch failed')
      host = await startHostProcess(data)
      const vars = (await (await call(host, 'GET', '/apps/killed/config-vars')).json()) as Record<string, string>
      assert.equal(
        Object.keys(acknowledged).filter((name) => vars[name] !== 'x'),
        [],
        'acknowledged, and lost',
      )
      const releases = (await (await call(host, 'GET', '/apps/killed/releases')).json()) as { version: number }[]
      assert.ok(releases.length > Math.min(Object.keys(acknowledged).length, 199))
    }
  } finally {
    if (host.child.kill('SIGKILL')) await once(host.child, 'exit')
    await rm(data, { recursive: true, force: true })
  }
})

test.run()
