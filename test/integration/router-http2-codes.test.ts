import { once } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ask, outcome, request, type SecureRig, startSecureRig } from './router-http2-rig.ts'
import { cannedDyno, type Dyno, eventually, httpDyno, rawDyno } from './router-rig.ts'

/** Heroku's codes and broken ends over HTTP/2: nothing that broke looks whole, and the connection goes on. */

let rig: SecureRig
let dyno: Dyno | undefined

const INTERNAL_ERROR = 2
const CANCEL = 8

test.before.each(() => {
  dyno = undefined
})

test.after.each(async () => {
  await rig.close()
  dyno?.close()
})

const lineOf = async (code: string): Promise<string> => {
  await eventually(
    () => rig.lines.some((line) => line.includes(`code=${code} `)),
    () => `a line with ${code} in ${rig.lines.join('\n')}`,
  )
  return rig.lines.find((line) => line.includes(`code=${code} `)) ?? ''
}

/** Answers nothing. */
const silentDyno = (): Promise<Dyno> =>
  rawDyno((socket) => {
    socket.on('error', () => {})
    socket.resume()
  })

test('without a dyno that serves: H10, H14, H80, H81, H21, and 404 for no app, as pages', async () => {
  rig = await startSecureRig({ hold: 50 })
  const session = await rig.http2()
  const page = async (code: string, status: number) => {
    const { headers, body, code: end } = await ask(session, { accept: 'text/html' })
    assert.is(headers[':status'], status)
    assert.match(body, /^<!DOCTYPE html>/)
    assert.is(headers['content-length'], String(body.length))
    assert.is(end, 0)
    assert.match(await lineOf(code), /protocol=http2\.0 tls=true/)
  }
  rig.serve({ empty: 'crashed' })
  await page('H10', 503)
  rig.serve({ empty: 'none' })
  await page('H14', 503)
  rig.serve({ empty: 'blank' })
  await page('H81', 503)
  rig.serve({ maintenance: true })
  await page('H80', 503)
  const gone = await silentDyno()
  gone.close()
  rig.serve({ backends: [gone.route()] })
  await page('H21', 503)
  assert.is((await ask(session, { ':authority': 'unknown.localhost' })).headers[':status'], 404)
  const head = await ask(session, { ':method': 'HEAD', ':authority': 'unknown.localhost' })
  assert.equal([head.headers[':status'], head.body, head.code], [404, '', 0])
  assert.not(session.closed)
})

test('a request waits for a starting dyno, and gets H20 when it does not come', async () => {
  rig = await startSecureRig({ boot: 100 })
  rig.serve({ empty: 'starting' })
  const { headers } = await ask(await rig.http2())
  assert.is(headers[':status'], 503)
  await lineOf('H20')
})

test('a silent dyno: H12', async () => {
  rig = await startSecureRig({ firstByte: 50 })
  dyno = await silentDyno()
  rig.serve({ backends: [dyno.route()] })
  const { headers, code } = await ask(await rig.http2())
  assert.equal([headers[':status'], code], [503, 0])
  assert.match(await lineOf('H12'), /status=503 bytes=0/)
})

test('a dyno that closes without an answer: H13; one whose head is bad: H17; a bad length: H25 with 502', async () => {
  rig = await startSecureRig()
  const session = await rig.http2()
  const status = async (text: string, end: boolean) => {
    dyno?.close()
    dyno = await cannedDyno(text, end)
    rig.serve({ backends: [dyno.route()] })
    return (await ask(session)).headers[':status']
  }
  assert.is(await status('', true), 503)
  await lineOf('H13')
  assert.is(await status('HTTP/1.1 nonsense\r\n\r\n', false), 503)
  await lineOf('H17')
  assert.is(await status('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', false), 502)
  await lineOf('H25')
  assert.is(await status('HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n', false), 503)
  assert.is(await status('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n', false), 502)
  assert.not(session.closed)
})

for (const [what, text, code] of [
  ['short of its length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', 'H18'],
  ['without the last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n', 'H18'],
  ['with a bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nZ\r\n', 'H17'],
] as const)
  test(`a response that breaks off ${what} is reset, never ended: ${code}`, async () => {
    rig = await startSecureRig()
    dyno = await rawDyno((socket) => {
      socket.on('error', () => {})
      socket.on('data', () => {
        socket.write(text)
        setTimeout(() => socket.end(), 50)
      })
    })
    rig.serve({ backends: [dyno.route()] })
    const session = await rig.http2()
    const asked = await ask(session)
    assert.is(asked.code, INTERNAL_ERROR)
    assert.not(asked.complete)
    await lineOf(code)
    assert.not(session.closed)
  })

test('a dyno that stops in the middle of its response: H15, and a reset', async () => {
  rig = await startSecureRig({ idle: 100 })
  dyno = await rawDyno((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'))
  })
  rig.serve({ backends: [dyno.route()] })
  const asked = await ask(await rig.http2())
  assert.equal([asked.code, asked.complete], [INTERNAL_ERROR, false])
  await lineOf('H15')
})

test('a client that takes its request back: H27, the dyno’s connection is closed, its neighbours go on', async () => {
  rig = await startSecureRig()
  const closed: Promise<unknown>[] = []
  dyno = await rawDyno((socket) => {
    socket.on('error', () => {})
    closed.push(once(socket, 'close'))
    socket.on('data', (chunk) => {
      if (String(chunk).startsWith('GET /ok')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
    socket.on('end', () => socket.end())
  })
  rig.serve({ backends: [dyno.route()] })
  const session = await rig.http2()
  const stream = request(session)
  const asked = outcome(stream)
  await eventually(
    () => closed.length === 1,
    () => 'the request to reach the dyno',
  )
  stream.close(CANCEL)
  await asked
  assert.match(await lineOf('H27'), /^sock=client at=warning code=H27 .* status=499 /)
  await closed[0]
  assert.is((await ask(session, { ':path': '/ok' })).body, 'ok')
})

test('a client that goes with its requests open: H27 for each', async () => {
  rig = await startSecureRig()
  dyno = await silentDyno()
  rig.serve({ backends: [dyno.route()] })
  const session = await rig.http2()
  for (let n = 0; n < 3; n++) request(session).on('error', () => {})
  await eventually(
    () => dyno?.accepted === 3,
    () => 'three requests at the dyno',
  )
  session.destroy()
  await eventually(
    () => rig.lines.filter((line) => line.includes('code=H27')).length === 3,
    () => `three lines: ${rig.lines.join('\n')}`,
  )
  await eventually(
    () => rig.router.sessions.size === 0,
    () => 'the session to be gone',
  )
})

test('a client that never sends its body: H28, and a reset', async () => {
  rig = await startSecureRig({ idle: 100 })
  dyno = await silentDyno()
  rig.serve({ backends: [dyno.route()] })
  const asked = await outcome(request(await rig.http2(), { ':method': 'POST' }, false))
  assert.is(asked.code, INTERNAL_ERROR)
  assert.match(await lineOf('H28'), /sock=client/)
})

test('requests that still run when the time to close is over: H24', async () => {
  rig = await startSecureRig({ shutdown: 50 })
  dyno = await silentDyno()
  rig.serve({ backends: [dyno.route()] })
  const asked = ask(await rig.http2())
  await eventually(
    () => dyno?.accepted === 1,
    () => 'the request at the dyno',
  )
  await rig.router.close()
  await lineOf('H24')
  await asked
})

test('a request is sent once more when a pooled connection to the dyno was closed', async () => {
  rig = await startSecureRig()
  let answered = 0
  dyno = await rawDyno((socket) => {
    let seen = 0
    socket.on('error', () => {})
    socket.on('data', () => {
      if (++seen > 1) socket.destroy()
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', () => answered++)
    })
  })
  rig.serve({ backends: [dyno.route()] })
  const session = await rig.http2()
  for (let n = 0; n < 3; n++) assert.is((await ask(session)).body, 'ok')
  assert.is(answered, 3)
})

test('a session stays with its backend', async () => {
  rig = await startSecureRig()
  dyno = await httpDyno((_, res) => res.end('one'))
  rig.serve({ affinity: true, backends: [dyno.route()] })
  const { headers } = await ask(await rig.http2())
  assert.match(String(headers['set-cookie']), /^heroku-session-affinity=.*; Secure$/)
})

test.run()
