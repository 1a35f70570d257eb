import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Limits } from '../../router/limits.ts'
import { Router } from '../../router/router.ts'
import { cannedDyno, client, eventually, get, httpDyno, type Rig, rawDyno, startRig, tableOf } from './router-rig.ts'

/** Which dyno gets a request, and how many it gets. */

const within = async (limits: Partial<Limits>, body: (rig: Rig) => Promise<void>) => {
  const rig = await startRig(limits)
  await body(rig).finally(() => rig.close())
}

const logged = (rig: Rig, pattern: RegExp) =>
  eventually(
    () => rig.lines.some((line) => pattern.test(line)),
    () => `${pattern} in ${rig.lines.join('\n')}`,
  )

test('a dyno that breaks off again and again gets no more requests for a while', () =>
  within({ breaks: 3 }, async (rig) => {
    const bad = await cannedDyno('', true)
    const good = await httpDyno((_, res) => res.end('<good>'))
    rig.serve({ backends: [bad.route('serve', 'bad'), good.route('serve', 'one'), good.route('serve', 'two')] })
    for (let n = 0; n < 60; n++)
      await client(rig.port)
        .write(get())
        .until(/<good>|503/)
    assert.is(bad.accepted, 3)
    assert.is(rig.lines.filter((line) => line.includes('code=H13')).length, 3)
    for (const dyno of [bad, good]) dyno.close()
  }))

test('when more than half of an app breaks off, all of it gets requests all the same', () =>
  within({ breaks: 1 }, async (rig) => {
    const bad = await cannedDyno('', true)
    rig.serve({ affinity: true, backends: [bad.route()] })
    for (let n = 0; n < 5; n++)
      await client(rig.port)
        .write(get())
        .until(/^HTTP\/1.1 503 /)
    assert.is(bad.accepted, 5)
    bad.close()
  }))

test('a client that stays with a dyno stays with it in a panic, and is not told anew', () =>
  within({ breaks: 1 }, async (rig) => {
    let broken = false
    const flaky = await rawDyno((socket) => {
      socket.on('data', () =>
        socket.end(broken ? '' : 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\n<ok>'),
      )
    })
    rig.serve({ affinity: true, backends: [flaky.route('serve', 'one'), flaky.route('serve', 'two')] })
    const first = await client(rig.port).write(get()).until(/<ok>/)
    const cookie = /^Set-Cookie: ([^;]+)/m.exec(first)?.[1]
    broken = true
    for (let n = 0; n < 30; n++)
      await client(rig.port)
        .write(get())
        .until(/^HTTP\/1.1 503 /)
    broken = false
    for (let n = 0; n < 10; n++)
      assert.not.match(
        await client(rig.port)
          .write(get(`Cookie: ${cookie}`))
          .until(/<ok>/),
        'Set-Cookie',
      )
    flaky.close()
  }))

test('a request tries as many dynos as it may and no more', () =>
  within({ attempts: 2 }, async (rig) => {
    const gone = await rawDyno(() => {})
    gone.close()
    rig.serve({ backends: ['one', 'two', 'three'].map((id) => gone.route('serve', id)) })
    await client(rig.port)
      .write(get())
      .until(/^HTTP\/1.1 503 /)
    assert.match(rig.lines.at(-1) ?? '', /code=H21 .* dyno=web.1 /)
  }))

test('a dyno that has all the connections that it may have gets no other: H22, tunnels counted', () =>
  within({ perBackend: 2 }, async (rig) => {
    const upgrade = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'
    const dyno = await rawDyno((socket) => {
      socket.once('data', (head) => {
        if (String(head).includes('Upgrade')) socket.write(upgrade)
      })
      socket.on('error', () => {})
    })
    rig.serve({ backends: [dyno.route()] })
    const tunnel = client(rig.port).write(get('Connection: Upgrade', 'Upgrade: x'))
    await tunnel.until(/101/)
    client(rig.port).write(get())
    await eventually(
      () => dyno.accepted === 2,
      () => 'the second request',
    )
    await client(rig.port)
      .write(get())
      .until(/^HTTP\/1.1 503 /)
    await logged(
      rig,
      /^at=error code=H22 desc="Connection limit reached" .* dyno= connect= service= status=503 bytes= /,
    )
    tunnel.socket.resetAndDestroy()
    await logged(rig, /^at=info .* status=101 /)
    client(rig.port).write(get())
    await eventually(
      () => dyno.accepted === 3,
      () => 'the next request',
    )
    dyno.close()
  }))

test('a tunnel is no request of the backlog', () =>
  within({ backlog: 1 }, async (rig) => {
    const dyno = await cannedDyno('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    rig.serve({ backends: [dyno.route()] })
    for (let n = 0; n < 3; n++)
      await client(rig.port)
        .write(get('Connection: Upgrade', 'Upgrade: x'))
        .until(/^HTTP\/1.1 101 /)
    dyno.close()
  }))

test('worker processes share a backend’s bound', async () => {
  const events = { up() {}, drained() {}, line() {} }
  const router = new Router(events, { backlog: 10, perBackend: 100 }, 4)
  const dyno = await rawDyno(() => {})
  router.apply(tableOf(1, { backends: ['one', 'two'].map((id) => dyno.route('serve', id)) }))
  assert.equal([router.find('a.localhost')?.backlog.most, router.perBackend], [20, 25])
  router.apply(tableOf(2, { backends: [dyno.route('drain', 'one')] }))
  assert.is(router.find('a.localhost')?.backlog.most, 10, 'an app without a dyno may have what one is good for')
  dyno.close()
  await router.close()
})

test.run()
