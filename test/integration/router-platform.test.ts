import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { platformRoute } from '../../daemon/route/platform.ts'
import type { AppRoute } from '../../router/protocol.ts'
import { client, type Dyno, eventually, get, httpDyno, type Rig, rawDyno, startRig } from './router-rig.ts'

/** The platform's own names: the daemon behind the router, whose answers take long and whose links are secrets. */

const HOST = 'Host: api.example.com\r\n'
const TIGHT = { firstByte: 60, idle: 60, hold: 60, platformSilence: 20_000 }

let rig: Rig
let daemon: Dyno
test.after.each(async () => {
  daemon.close()
  await rig.close()
})

async function serve(behind: Promise<Dyno>, limits = TIGHT, change: Partial<AppRoute> = {}): Promise<void> {
  rig = await startRig(limits)
  daemon = await behind
  rig.serve({ ...routeTo(daemon.port), redirect: false, ...change })
}

function routeTo(port: number): AppRoute {
  const names = { api: 'api.example.com', git: 'git.example.com', registry: 'git.example.com' }
  const [route] = platformRoute({ names, api: { hosts: ['127.0.0.1', '::1'], port } }, 'proof')
  assert.ok(route)
  return route
}

const ask = (path: string, fields = '') => client(rig.port).write(`GET ${path} HTTP/1.1\r\n${HOST}${fields}\r\n`)

test('an answer that takes longer than any app’s may is waited for, and so is silence in the middle of it', async () => {
  await serve(
    httpDyno((_, res) => {
      setTimeout(() => res.write('first '), 400)
      setTimeout(() => res.end('last'), 800)
    }),
  )
  assert.match(await ask('/streams/secret').until(/last/), /^HTTP\/1\.1 200 [\s\S]*first [\s\S]*last/)
})

test('a terminal may be idle for as long', async () => {
  await serve(
    rawDyno((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: ssh\r\n\r\n'))
      setTimeout(() => socket.write('late'), 700)
    }),
  )
  await ask('/attach/secret', 'Connection: Upgrade\r\nUpgrade: ssh\r\n').until(/late/)
})

test('the daemon is told who asks, and nobody can say it in the router’s place', async () => {
  await serve(httpDyno((req, res) => res.end(JSON.stringify(req.headers))))
  const lie = 'Sluice-Router: lie\r\nsluice_router: lie\r\nX-Forwarded-For: 192.0.2.1\r\n'
  const answer = await ask('/account', lie).until(/\}/)
  const seen = JSON.parse(/\{.*\}/.exec(answer)?.[0] ?? '')
  assert.is(seen['sluice-router'], 'proof')
  assert.is(seen['x-forwarded-for'], '192.0.2.1, 127.0.0.1')
  assert.not.match(answer, /lie/)
})

test('an app gets no proof', async () => {
  await serve(httpDyno((req, res) => res.end(JSON.stringify(req.headers))))
  const { platform: _, ...app } = routeTo(daemon.port)
  rig.serve({ ...app, redirect: false })
  assert.not.match(await ask('/', 'Sluice-Router: lie\r\n').until(/\}/), /sluice-router/)
})

test('there is no log line of it, because links are secrets; it is counted', async () => {
  await serve(httpDyno((_, res) => res.end('tail')))
  await ask('/logs/secret').until(/tail/)
  await eventually(
    () => rig.router.takeTallies().some(({ app, tally }) => app === 'platform' && tally.classes[2] === 1),
    () => 'the count',
  )
  assert.equal(rig.lines, [])
})

test('more streams may be open than an app may have requests', async () => {
  let open = 0
  await serve(
    httpDyno((_, res) => {
      open++
      res.writeHead(200).flushHeaders()
    }),
    { ...TIGHT, backlog: 2 } as typeof TIGHT,
  )
  for (let n = 0; n < 5; n++) ask('/logs/secret')
  await eventually(
    () => open === 5,
    () => `five streams, not ${open}`,
  )
})

test('http leads to https, but for an authority’s challenge', async () => {
  await serve(
    httpDyno((_, res) => res.end('api')),
    TIGHT,
    { redirect: true },
  )
  assert.match(
    await ask('/apps').until(/over https/),
    /^HTTP\/1\.1 301 [\s\S]*Location: https:\/\/api\.example\.com\/apps\r/,
  )
  const challenges = [{ host: 'api.example.com', token: 'token', authorization: 'token.key' }]
  rig.router.apply({ version: 9, challenges, apps: [routeTo(daemon.port)] })
  assert.match(await ask('/.well-known/acme-challenge/token').until(/token\.key/), /^HTTP\/1\.1 200 /)
})

test('while the daemon restarts a request waits', async () => {
  await serve(httpDyno((_, res) => res.end('back')))
  const { port } = daemon
  daemon.close()
  rig.serve({ ...routeTo(port), redirect: false })
  const asking = ask('/account')
  await eventually(
    () => rig.router.waiting === 1,
    () => 'the wait',
  )
  const { createServer } = await import('node:http')
  const again = createServer((_, res) => res.end('back')).listen(port, '127.0.0.1')
  await asking.until(/back/)
  again.closeAllConnections()
  again.close()
})

test('without a daemon the answer says so, in the words of the API, as text, and as a page', async () => {
  await serve(httpDyno((_, res) => res.end()))
  const { port } = daemon
  daemon.close()
  rig.serve({ ...routeTo(port), redirect: false, hold: 0 })
  const json = await ask('/apps', 'Accept: application/vnd.heroku+json; version=3\r\n').until(/\}\n$/)
  assert.match(json, /^HTTP\/1\.1 503 [\s\S]*Content-Type: application\/json/)
  const { id, message } = JSON.parse(/\{.*\}/.exec(json)?.[0] ?? '')
  assert.is(id, 'maintenance')
  assert.match(message, /API is not available\. It does not answer \(H21: .*Apps go on as they are/)
  assert.match(await ask('/app.git/info/refs').until(/daemon\.\n$/), /Content-Type: text\/plain/)
  assert.match(await ask('/auth/browser/1', 'Accept: text/html\r\n').until(/<\/html>/), /API is not available/)
})

test('an app’s limits stay as they are', async () => {
  await serve(httpDyno(() => {}))
  rig.serve({ backends: [daemon.route()] })
  await client(rig.port).write(get()).until(/H12/)
})

test.run()
