import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Limits } from '../../router/limits.ts'
import { type Client, client, eventually, get, httpDyno, type Rig, rawDyno, startRig, stuckDyno } from './router-rig.ts'

/** Requests that wait while an app has nobody who takes them. */

const within = async (limits: Partial<Limits>, body: (rig: Rig) => Promise<void>) => {
  const rig = await startRig(limits)
  await body(rig).finally(() => rig.close())
}

const waits = (rig: Rig, requests: number) =>
  eventually(
    () => rig.router.waiting === requests,
    () => `${requests} requests to wait, not ${rig.router.waiting}`,
  )

const logged = (rig: Rig, pattern: RegExp) =>
  eventually(
    () => rig.lines.some((line) => pattern.test(line)),
    () => `${pattern} in ${rig.lines.join('\n')}`,
  )

/** A port that refuses, and what makes it answer each request with its path. */
async function refusing() {
  const gone = await rawDyno(() => {})
  gone.close()
  const paths: string[] = []
  let server: Server | undefined
  return {
    paths,
    route: gone.route,
    async listen() {
      server = createServer((req, res) => {
        paths.push(req.url ?? '')
        res.end(`<${req.url}>`)
      }).listen(gone.port, '127.0.0.1')
      await once(server, 'listening')
    },
    close() {
      server?.close()
      server?.closeAllConnections()
    },
  }
}

const ask = (rig: Rig, path = '/'): Client => client(rig.port).write(get().replace('/', path))

test('while the only dyno refuses, requests wait, and go on in order of arrival when it accepts', () =>
  within({}, async (rig) => {
    const dyno = await refusing()
    rig.serve({ backends: [dyno.route()] })
    const clients: Client[] = []
    for (let n = 1; n <= 8; n++) {
      clients.push(ask(rig, `/${n}`))
      await waits(rig, n)
    }
    await dyno.listen()
    for (const [n, one] of clients.entries()) await one.until(new RegExp(`^HTTP/1.1 200 .*</${n + 1}>`, 's'))
    assert.equal(
      dyno.paths,
      clients.map((_, n) => `/${n + 1}`),
    )
    assert.is(rig.router.waiting, 0)
    dyno.close()
  }))

test('a restart of the only dyno fails no request, whatever its tables look like on the way', () =>
  within({}, async (rig) => {
    const old = await httpDyno((_, res) => res.end('<old>'))
    const next = await httpDyno((_, res) => res.end('<new>'))
    rig.serve({ backends: [old.route('serve', 'old')] })
    let over = false
    const answers: string[] = []
    const users = Array.from({ length: 4 }, async () => {
      while (!over) answers.push(/^HTTP\/1.1 (\d+) /.exec(await ask(rig).until(/<\w+>|50\d/))?.[1] ?? '')
    })
    const some = async () => {
      const before = answers.length
      await eventually(
        () => answers.length > before + 20,
        () => 'some answers',
      )
    }
    await some()
    old.close()
    await waits(rig, 4)
    rig.serve({ empty: 'starting' })
    await waits(rig, 4)
    rig.serve({ empty: 'starting', backends: [next.route('probe', 'new')] })
    await eventually(
      () => rig.up.includes('new'),
      () => 'the probe',
    )
    rig.serve({ backends: [next.route('serve', 'new')] })
    await some()
    over = true
    await Promise.all(users)
    assert.equal([...new Set(answers)], ['200'])
    assert.not(rig.lines.some((line) => line.includes('code=')))
    next.close()
  }))

test('an app with more dynos than a request may try waits when all of them are in quarantine', () =>
  within({ attempts: 1, quarantineFirst: 60_000, quarantine: 60_000 }, async (rig) => {
    const dyno = await refusing()
    rig.serve({ backends: [dyno.route('serve', 'one'), dyno.route('serve', 'two')] })
    await ask(rig).until(/^HTTP\/1.1 503 /)
    assert.match(rig.lines.at(-1) ?? '', 'code=H21')
    const waiting = ask(rig)
    await waits(rig, 1)
    await dyno.listen()
    await waiting.until(/<\/>/)
    dyno.close()
  }))

test('who tries to reach a dyno that is gone goes to the next one as soon as the table says so', () =>
  within({ connect: 60_000 }, async (rig) => {
    const stuck = await stuckDyno()
    const next = await httpDyno((_, res) => res.end('<new>'))
    const old = stuck.route('serve', 'old')
    rig.serve({ backends: [old] })
    const backend = rig.router.find('a.localhost')?.serving[0]
    const asked = ask(rig)
    await eventually(
      () => backend?.users.size === 1,
      () => 'the request to be on its way',
    )
    rig.serve({ backends: [next.route('serve', 'new')] })
    await asked.until(/<new>/)
    for (const dyno of [stuck, next]) dyno.close()
  }))

test('how long they wait is the app’s to say: who tried ends with H21, who waited for it with H99', () =>
  within({ holdPause: 60_000, holdPauseMost: 60_000 }, async (rig) => {
    const dyno = await refusing()
    rig.serve({ hold: 1000, backends: [dyno.route()] })
    const first = ask(rig)
    await waits(rig, 1)
    const second = ask(rig)
    await waits(rig, 2)
    for (const one of [first, second]) await one.until(/^HTTP\/1.1 503 /)
    await logged(rig, /^at=error code=H21 .* dyno=web.1 connect=\d+ms service= status=503 bytes= /)
    await logged(rig, /^at=error code=H99 desc="Platform error" .* dyno= connect= service= status=503 bytes= /)
    rig.serve({ hold: 0, backends: [dyno.route()] })
    await ask(rig).until(/^HTTP\/1.1 503 /)
    assert.match(rig.lines.at(-1) ?? '', 'code=H21')
  }))

test('an app that is crashed makes nobody wait, but for one that wants it', () =>
  within({}, async (rig) => {
    rig.serve({ empty: 'crashed', hold: 60_000 })
    const waiting = ask(rig)
    await waits(rig, 1)
    const dyno = await httpDyno((_, res) => res.end('<hello>'))
    rig.serve({ hold: 60_000, backends: [dyno.route()] })
    await waiting.until(/<hello>/)
    rig.serve({ empty: 'crashed', hold: 50 })
    await ask(rig).until(/^HTTP\/1.1 503 /)
    await logged(rig, /code=H10 /)
    rig.serve({ empty: 'starting', hold: 0 })
    await ask(rig).until(/^HTTP\/1.1 503 /)
    await logged(rig, /code=H20 /)
    dyno.close()
  }))

test('a client that goes away while it waits is H27 and leaves the queue; the next one tries', () =>
  within({}, async (rig) => {
    const dyno = await refusing()
    rig.serve({ backends: [dyno.route()] })
    const first = ask(rig, '/1')
    await waits(rig, 1)
    const reset = ask(rig, '/2')
    await waits(rig, 2)
    const second = ask(rig, '/3')
    await waits(rig, 3)
    first.socket.end()
    reset.socket.resetAndDestroy()
    await waits(rig, 1)
    await logged(rig, /^sock=client at=warning code=H27 .* status=499 bytes= /)
    await dyno.listen()
    await second.until(/<\/3>/)
    assert.equal(dyno.paths, ['/3'])
    dyno.close()
  }))

test('maintenance, and an app that is gone, are answered while requests wait', () =>
  within({ holdPause: 60_000, holdPauseMost: 60_000 }, async (rig) => {
    const dyno = await refusing()
    rig.serve({ backends: [dyno.route()] })
    const first = ask(rig)
    await waits(rig, 1)
    rig.serve({ maintenance: true, backends: [dyno.route()] })
    await first.until(/^HTTP\/1.1 503 [\s\S]*Maintenance/)
    await logged(rig, /code=H80 /)
    rig.serve({ backends: [dyno.route()] })
    const second = ask(rig)
    await waits(rig, 1)
    rig.serve({ id: 'other', hosts: ['b.localhost'] })
    await second.until(/^HTTP\/1.1 404 /)
    assert.is(rig.router.waiting, 0)
  }))

test('a table about something else lets nobody run into dynos that refuse; other dynos do at once', () =>
  within({ holdPause: 60_000, holdPauseMost: 60_000 }, async (rig) => {
    const dyno = await refusing()
    rig.serve({ backends: [dyno.route()] })
    const waiting = ask(rig)
    await waits(rig, 1)
    await dyno.listen()
    rig.serve({ backends: [dyno.route()] })
    await client(rig.port)
      .write('GET / HTTP/1.1\r\nHost: b.localhost\r\n\r\n')
      .until(/No such app/)
    assert.is(rig.router.waiting, 1)
    rig.serve({ backends: [dyno.route('serve', 'another')] })
    await waiting.until(/<\/>/)
    dyno.close()
  }))

test('an app has as many requests as its dynos are good for, waiting ones too; one more is H11', () =>
  within({ backlog: 2 }, async (rig) => {
    rig.serve({ empty: 'starting' })
    const first = ask(rig)
    ask(rig)
    await waits(rig, 2)
    await ask(rig).until(/^HTTP\/1.1 503 /)
    await logged(rig, /^at=error code=H11 desc="Backlog too deep" .* dyno= connect= service= status=503 bytes= /)
    const dyno = await httpDyno((_, res) => res.end('<hello>'))
    rig.serve({ backends: [dyno.route()] })
    await first.until(/<hello>/)
    for (let n = 0; n < 5; n++) await ask(rig).until(/<hello>/)
    dyno.close()
  }))

test('all apps together make a bounded number of requests wait', () =>
  within({ waiting: 1 }, async (rig) => {
    rig.serve({ empty: 'starting' })
    ask(rig)
    await waits(rig, 1)
    await ask(rig).until(/^HTTP\/1.1 503 /)
    await logged(rig, /code=H11 /)
  }))

test.run()
