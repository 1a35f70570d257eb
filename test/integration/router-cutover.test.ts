import { Agent, request } from 'node:http'
import { createServer } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { client, eventually, get, httpDyno, type Rig, rawDyno, startRig } from './router-rig.ts'

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

test.run()
