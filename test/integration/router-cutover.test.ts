import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { createServer } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Backend } from '../../router/protocol.ts'
import { client, type Dyno, eventually, get, httpDyno, type Rig, rawDyno, startRig } from './router-rig.ts'

let rig: Rig
test.before.each(async () => {
  rig = await startRig()
})
test.after.each(() => rig.close())

const release = (name: string) => httpDyno((_, res) => void setTimeout(() => res.end(name), 5))

test('a cutover under 50 requests a second, on kept and on new connections, fails none, and splits them cleanly', async () => {
  const [old, next] = [await release('old'), await release('new')]
  rig.serve({ backends: [old.route('serve', 'old')] })
  const keep = new Agent({ keepAlive: true, maxSockets: 4 })
  let cutOver = false
  let failures = 0
  let stale = 0
  const answers = { old: 0, new: 0 }
  const ask = (agent: Agent | false) => {
    const after = cutOver
    const headers = { host: 'a.localhost' }
    request({ port: rig.port, host: '127.0.0.1', agent, headers }, (res) => {
      let body = ''
      res.on('data', (chunk) => {
        body += chunk
      })
      res.on('end', () => {
        if (res.statusCode !== 200 || (body !== 'old' && body !== 'new')) failures++
        else answers[body]++
        if (after && body !== 'new') stale++
      })
    })
      .on('error', () => failures++)
      .end()
  }
  let asked = 0
  const load = setInterval(() => ask(++asked % 2 === 0 ? keep : false), 20)
  await eventually(
    () => answers.old >= 20,
    () => 'the old release to serve',
  )
  rig.serve({ backends: [old.route('serve', 'old'), next.route('probe', 'new')] })
  await eventually(
    () => rig.up.includes('new'),
    () => 'the new dyno to be up',
  )
  rig.serve({ backends: [old.route('drain', 'old'), next.route('serve', 'new')] })
  cutOver = true
  await eventually(
    () => rig.drained.includes('old'),
    () => 'the old dyno to drain',
  )
  old.close()
  rig.serve({ backends: [next.route('serve', 'new')] })
  await eventually(
    () => answers.new >= 20,
    () => 'the new release to serve',
  )
  clearInterval(load)
  await eventually(
    () => answers.old + answers.new + failures === asked,
    () => 'the last answers',
  )
  assert.is(failures, 0)
  assert.is(stale, 0)
  keep.destroy()
  next.close()
})

test('a backend is up when it accepts, not before, and that is told again with each table', async () => {
  const gone = await rawDyno(() => {})
  const { port } = gone
  gone.close()
  rig.serve({ empty: 'starting', backends: [gone.route('probe')] })
  assert.equal(rig.up, [])
  const late = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1')
  await eventually(
    () => rig.up.length === 1,
    () => 'the probe',
  )
  rig.router.report()
  assert.equal(rig.up, ['dyno-1', 'dyno-1'])
  late.close()
})

test('drained is told when the running request has ended, and at once when none runs', async () => {
  let finish: (() => void) | undefined
  const dyno = await httpDyno((req, res) => {
    if (req.url === '/slow') finish = () => res.end('done')
    else res.end('quick')
  })
  rig.serve({ backends: [dyno.route()] })
  const keep = client(rig.port)
  await keep.write(get()).until(/quick/)
  const slow = client(rig.port).write(get().replace('/', '/slow'))
  await eventually(
    () => finish !== undefined,
    () => 'the slow request',
  )
  rig.serve({ backends: [dyno.route('drain')] })
  await keep.write(get()).until(/503 Service/)
  assert.equal(rig.drained, [])
  finish?.()
  await slow.until(/done/)
  assert.equal(rig.drained, ['dyno-1'])
  rig.router.report()
  assert.equal(rig.drained, ['dyno-1', 'dyno-1'])
  rig.serve({ backends: [dyno.route()] })
  await keep.write(get()).until(/quick[\s\S]*quick/)
  dyno.close()
})

test('when a backend leaves the table its tunnels are cut and its running requests go on', async () => {
  let answer: (() => void) | undefined
  const dyno = await rawDyno((socket) => {
    socket.on('error', () => {})
    socket.once('data', (chunk) => {
      if (String(chunk).includes('Upgrade: x'))
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhi')
      else answer = () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')
    })
  })
  rig.serve({ backends: [dyno.route()] })
  const tunnel = client(rig.port).write(get('Connection: Upgrade', 'Upgrade: x'))
  await tunnel.until(/hi$/)
  const running = client(rig.port).write(get())
  await eventually(
    () => answer !== undefined,
    () => 'the second request',
  )
  rig.serve({ backends: [dyno.route('drain')] })
  assert.equal(rig.drained, [])
  rig.serve({})
  await tunnel.untilClosed()
  answer?.()
  await running.until(/hello/)
  dyno.close()
})

test('a table that cannot be changes nothing', async () => {
  const dyno = await httpDyno((_, res) => res.end('hello'))
  rig.serve({ backends: [dyno.route()] })
  const app = {
    id: 'x',
    name: 'x',
    hosts: ['x'],
    certificates: [],
    maintenance: false,
    empty: 'none',
    backends: [],
  } as const
  const twice = [app, { ...app, id: 'y' }].map((one) => ({ ...one, hosts: ['x'], certificates: [], backends: [] }))
  assert.throws(() => rig.router.apply({ version: 9, apps: twice, challenges: [] }), /two apps claim/)
  await client(rig.port).write(get()).until(/hello/)
  dyno.close()
})

/** The old release drains, the new one serves. */
async function cutOver(old: Dyno) {
  const next = await httpDyno((req, res) => void res.end(`new ${req.url}`))
  rig.serve({ backends: [old.route('drain', 'old'), next.route('serve', 'new')] })
  return next
}

test('a request whose body is half sent goes to its end on the old release, the one behind it to the new', async () => {
  let heard = ''
  const old = await httpDyno((req, res) => {
    req.on('data', (chunk) => {
      heard += chunk
    })
    req.on('end', () => res.end(`old ${heard}`))
  })
  rig.serve({ backends: [old.route('serve', 'old')] })
  const keep = client(rig.port).write(`${get('Content-Length: 10').replace('GET', 'POST')}first`)
  await eventually(
    () => heard === 'first',
    () => 'the first half',
  )
  const next = await cutOver(old)
  assert.equal(rig.drained, [])
  keep.write(`other${get().replace('/', '/behind')}`)
  await keep.until(/old firstother[\s\S]*new \/behind$/)
  assert.equal(rig.drained, ['old'])
  for (const dyno of [old, next]) dyno.close()
})

test('a response that is half streamed goes to its end, the pipelined request behind it to the new release', async () => {
  let finish: (() => void) | undefined
  const old = await httpDyno((_, res) => {
    res.write('half ')
    finish = () => res.end('whole')
  })
  rig.serve({ backends: [old.route('serve', 'old')] })
  const keep = client(rig.port).write(get() + get().replace('/', '/behind'))
  await keep.until(/half /)
  const next = await cutOver(old)
  finish?.()
  await keep.until(/half [\s\S]*whole[\s\S]*new \/behind$/)
  assert.is(old.accepted, 1)
  assert.equal(rig.receipts.get('old'), { inFlight: 1, finished: 1, cut: 0, failed: 0 })
  for (const dyno of [old, next]) dyno.close()
})

test('a request that waits for a dyno goes to the release that serves first', async () => {
  const old = await release('old')
  rig.serve({ empty: 'starting', backends: [] })
  const waiting = client(rig.port).write(get())
  await eventually(
    () => rig.router.waiting === 1,
    () => 'the request to wait',
  )
  rig.serve({ empty: 'starting', backends: [old.route('probe', 'old')] })
  assert.is(rig.router.waiting, 1)
  const next = await cutOver(old)
  await waiting.until(/new \/$/)
  assert.is(rig.router.waiting, 0)
  for (const dyno of [old, next]) dyno.close()
})

/** A dyno in a process that is stopped with its backlog full, so that connections to it neither succeed nor fail. */
async function stuckDyno() {
  const code = `require('net').createServer((s) => s.on('data', () => s.end('HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nold')).on('error', () => {}))
    .listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () { console.log(this.address().port) })`
  const stuck = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(stuck.stdout, 'data')
  const port = Number(line)
  stuck.kill('SIGSTOP')
  const fill = Array.from({ length: 4 }, () => client(port).socket)
  await eventually(
    () => fill.filter((socket) => !socket.connecting).length >= 2,
    () => 'a full backlog',
  )
  const end = (signal: 'SIGCONT' | 'SIGKILL') => {
    for (const socket of fill) socket.destroy()
    stuck.kill(signal)
  }
  const route = (mode: Backend['mode'], id = 'old'): Backend => ({
    ...{ id, dyno: 'web.1', address: '127.0.0.1', port },
    mode,
  })
  return { port, route, accepted: 0, close: () => end('SIGKILL'), goOn: () => end('SIGCONT') }
}

test('a request that is being connected to the old release goes there when it connects', async () => {
  const old = await stuckDyno()
  rig.serve({ backends: [old.route('serve')] })
  const connecting = client(rig.port).write(get())
  await eventually(
    () => rig.router.sessions.size === 1,
    () => 'the session',
  )
  await new Promise(setImmediate)
  const next = await cutOver(old)
  assert.equal(rig.drained, [])
  old.goOn()
  await connecting.until(/old$/)
  assert.equal(rig.receipts.get('old'), { inFlight: 1, finished: 1, cut: 0, failed: 0 })
  for (const dyno of [old, next]) dyno.close()
})

test('a request that cannot be connected to the old release goes to the new one, and is none of the receipt', async () => {
  const old = await stuckDyno()
  rig.serve({ backends: [old.route('serve')] })
  const connecting = client(rig.port).write(get())
  await eventually(
    () => rig.router.sessions.size === 1,
    () => 'the session',
  )
  await new Promise(setImmediate)
  const next = await cutOver(old)
  assert.equal(rig.drained, [])
  old.close()
  await connecting.until(/new \/$/)
  assert.equal(rig.receipts.get('old'), { inFlight: 0, finished: 0, cut: 0, failed: 0 })
  next.close()
})

test.run()
