import { connect } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Limits } from '../../router/limits.ts'
import {
  cannedDyno,
  client,
  type Dyno,
  eventually,
  get,
  httpDyno,
  type Rig,
  rawDyno,
  startRig,
  stuckDyno,
} from './router-rig.ts'

/** Each of Heroku's codes: its status at the client, its words in the log. */

const within = async (limits: Partial<Limits>, body: (rig: Rig) => Promise<void>, dynos: Dyno[] = []) => {
  const rig = await startRig(limits)
  try {
    await body(rig)
  } finally {
    for (const dyno of dynos) dyno.close()
    await rig.close()
  }
}

const logged = async (rig: Rig, pattern: RegExp) => {
  await eventually(
    () => rig.lines.some((line) => pattern.test(line)),
    () => `${pattern} in ${rig.lines.join('\n')}`,
  )
}

for (const [empty, code, status, text] of [
  ['none', 'H14', 503, /Application error/],
  ['crashed', 'H10', 503, /Application error/],
  ['blank', 'H81', 503, /nothing here, yet/],
] as const)
  test(`an app without a backend, ${empty}, is answered with ${code}`, () =>
    within({}, async (rig) => {
      rig.serve({ empty })
      const answer = await client(rig.port)
        .write(get('Accept: text/html'))
        .until(/<\/html>/)
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
      assert.match(answer, text)
      await logged(rig, new RegExp(`code=${code} .* dyno= connect= service= status=${status} bytes= `))
    }))

test('maintenance is H80, whatever serves', async () => {
  const dyno = await httpDyno((_, res) => res.end('hello'))
  await within(
    {},
    async (rig) => {
      rig.serve({ maintenance: true, backends: [dyno.route()] })
      assert.match(
        await client(rig.port)
          .write(get())
          .until(/Maintenance/),
        /^HTTP\/1.1 503 /,
      )
      await logged(rig, /^at=info code=H80 desc="Maintenance mode"/)
      assert.is(dyno.accepted, 0)
    },
    [dyno],
  )
})

test('an unknown host is told that there is no such app, and nobody’s log gets a line', () =>
  within({}, async (rig) => {
    rig.serve({})
    const answer = await client(rig.port)
      .write('GET / HTTP/1.1\r\nHost: b.localhost\r\n\r\n')
      .until(/No such app/)
    assert.match(answer, /^HTTP\/1.1 404 /)
    assert.equal(rig.lines, [])
  }))

test('a request waits for a starting dyno and is then served', async () => {
  const dyno = await httpDyno((_, res) => res.end('hello'))
  await within(
    {},
    async (rig) => {
      rig.serve({ empty: 'starting', backends: [dyno.route('probe')] })
      const waiting = client(rig.port).write(get())
      await eventually(
        () => rig.router.waiting === 1,
        () => 'the request to wait',
      )
      await eventually(
        () => rig.up.includes('dyno-1'),
        () => 'the probe',
      )
      rig.serve({ backends: [dyno.route('serve')] })
      await waiting.until(/hello/)
    },
    [dyno],
  )
})

test('a dyno that does not boot in time is H20', () =>
  within({ boot: 50 }, async (rig) => {
    rig.serve({ empty: 'starting' })
    await client(rig.port)
      .write(get())
      .until(/^HTTP\/1.1 503 /)
    await logged(rig, /code=H20 desc="App boot timeout"/)
  }))

test('a dyno that crashes while a request waits for it is H10', () =>
  within({}, async (rig) => {
    rig.serve({ empty: 'starting' })
    const waiting = client(rig.port).write(get())
    await eventually(
      () => rig.router.waiting === 1,
      () => 'the request to wait',
    )
    rig.serve({ empty: 'crashed' })
    await waiting.until(/^HTTP\/1.1 503 /)
    await logged(rig, /code=H10/)
  }))

test('no answer in time is H12, counted from the end of the request', async () => {
  const dyno = await rawDyno((socket) => socket.resume())
  await within(
    { firstByte: 80, idle: 60_000 },
    async (rig) => {
      rig.serve({ backends: [dyno.route()] })
      await client(rig.port)
        .write(get())
        .until(/^HTTP\/1.1 503 /)
      await logged(rig, /code=H12 desc="Request timeout" .* dyno=web.1 connect=\d+ms service=\d+ms status=503 bytes=0 /)
    },
    [dyno],
  )
})

test('a dyno that closes without a word is H13', async () => {
  const dyno = await cannedDyno('', true)
  await within(
    {},
    async (rig) => {
      rig.serve({ backends: [dyno.route()] })
      await client(rig.port)
        .write(get())
        .until(/^HTTP\/1.1 503 /)
      await logged(rig, /code=H13 desc="Connection closed without response"/)
      assert.is(dyno.accepted, 1)
    },
    [dyno],
  )
})

test('a dyno that stops in the middle of its response is H15, and the client sees that it is incomplete', async () => {
  const dyno = await cannedDyno('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
  await within(
    { idle: 60 },
    async (rig) => {
      rig.serve({ backends: [dyno.route()] })
      assert.match(await client(rig.port).write(get()).untilClosed(), /^HTTP\/1.1 200 OK[\s\S]*\r\n\r\nabc$/)
      await logged(rig, /code=H15 desc="Idle connection" .* status=503 bytes=3 /)
    },
    [dyno],
  )
})

test('a dyno that closes in the middle of its response is H18', async () => {
  const dyno = await cannedDyno('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc', true)
  await within(
    {},
    async (rig) => {
      rig.serve({ backends: [dyno.route()] })
      assert.match(await client(rig.port).write(get()).untilClosed(), /abc$/)
      await logged(rig, /^sock=backend at=error code=H18/)
    },
    [dyno],
  )
})

for (const [what, version, head] of [
  ['without a length', '1.1', ''],
  ['in chunks to a client that knows none', '1.0', 'Transfer-Encoding: chunked\r\n'],
])
  test(`a response ${what} that breaks off is reset, because its end would look like all of it`, async () => {
    const dyno = await rawDyno((socket) =>
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n5\r\nhel`, () => setTimeout(() => socket.resetAndDestroy(), 20))
      }),
    )
    await within(
      {},
      async (rig) => {
        rig.serve({ backends: [dyno.route()] })
        const socket = connect({ port: rig.port, host: '127.0.0.1' }).resume()
        socket.write(`GET / HTTP/${version}\r\nHost: a.localhost\r\n\r\n`)
        let error = ''
        socket.on('error', ({ code }: NodeJS.ErrnoException) => {
          error = code ?? ''
        })
        await new Promise((resolve) => socket.on('close', resolve))
        assert.is(error, 'ECONNRESET')
        await logged(rig, /^sock=backend at=error code=H18/)
      },
      [dyno],
    )
  })

for (const [code, status, response] of [
  ['H17', 503, 'nonsense\r\n\r\n'],
  ['H17', 503, 'HTTP/1.1 200 OK\nX: 1\n\n'],
  ['H17', 503, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n'],
  ['H25', 502, 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc'],
  ['H25', 502, 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
] as const)
  test(`a response ${JSON.stringify(response)} is ${code}`, async () => {
    const dyno = await cannedDyno(response)
    await within(
      {},
      async (rig) => {
        rig.serve({ backends: [dyno.route()] })
        await client(rig.port)
          .write(get())
          .until(new RegExp(`^HTTP/1.1 ${status} `))
        await logged(rig, new RegExp(`code=${code}`))
      },
      [dyno],
    )
  })

test('a bad chunk in the middle of a response cuts the client off without a last chunk', async () => {
  let goOn = (): void => {}
  const dyno = await rawDyno((socket) => {
    socket.on('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
      goOn = () => void socket.write('zz\r\n0\r\n\r\n')
    })
  })
  await within(
    {},
    async (rig) => {
      rig.serve({ backends: [dyno.route()] })
      const asking = client(rig.port).write(get())
      await asking.until(/\r\n\r\n3\r\nabc\r\n$/)
      goOn()
      assert.match(await asking.untilClosed(), /\r\n\r\n3\r\nabc\r\n$/)
      await logged(rig, /code=H17/)
    },
    [dyno],
  )
})

test('refused connections are tried elsewhere, and are H21 when nobody accepts', async () => {
  const dyno = await httpDyno((_, res) => res.end('hello'))
  const gone = await rawDyno(() => {})
  gone.close()
  await within(
    {},
    async (rig) => {
      rig.serve({ backends: [gone.route('serve', 'gone'), dyno.route('serve', 'there')] })
      const keep = client(rig.port)
      for (let i = 1; i <= 20; i++) await keep.write(get()).until(new RegExp(`(hello[\\s\\S]*){${i}}`))
      rig.serve({ hold: 0, backends: [gone.route('serve', 'gone')] })
      await keep.write(get()).until(/HTTP\/1.1 503/)
      await logged(
        rig,
        /^at=error code=H21 desc="Backend connection refused" .* dyno=web.1 connect=\d+ms service= status=503 bytes= /,
      )
    },
    [dyno],
  )
})

test('connections that nobody accepts in time are H19', async () => {
  const dyno = await stuckDyno()
  await within(
    { connect: 100 },
    async (rig) => {
      rig.serve({ hold: 0, backends: [dyno.route()] })
      await client(rig.port)
        .write(get())
        .until(/^HTTP\/1.1 503 /)
      await logged(
        rig,
        /code=H19 desc="Backend connection timeout" .* dyno=web.1 connect=[1-9]\d{2,}ms service= status=503 bytes= /,
      )
    },
    [dyno],
  )
})

test('a client that goes away is H27', async () => {
  const dyno = await rawDyno((socket) => socket.resume())
  await within(
    {},
    async (rig) => {
      rig.serve({ backends: [dyno.route()] })
      const gone = client(rig.port).write(get())
      await eventually(
        () => dyno.accepted === 1,
        () => 'the request',
      )
      gone.socket.resetAndDestroy()
      await logged(rig, /^sock=client at=warning code=H27 .* status=499 /)
    },
    [dyno],
  )
})

test('a client that half-closes in the middle of its body is H27, after its request it is answered', async () => {
  const dyno = await httpDyno((req, res) => {
    req.resume()
    req.on('end', () => res.end('hello'))
  })
  await within(
    {},
    async (rig) => {
      rig.serve({ backends: [dyno.route()] })
      client(rig.port).write(get('Content-Length: 10').replace('GET', 'POST')).write('abc').socket.end()
      await logged(rig, /code=H27/)
      const whole = client(rig.port).write(get())
      whole.socket.end()
      assert.match(await whole.untilClosed(), /hello$/)
    },
    [dyno],
  )
})

test('a client that stops in the middle of its body is H28', async () => {
  const dyno = await rawDyno((socket) => socket.resume())
  await within(
    { idle: 60, firstByte: 60_000 },
    async (rig) => {
      rig.serve({ backends: [dyno.route()] })
      await client(rig.port).write(get('Content-Length: 10').replace('GET', 'POST')).untilClosed()
      await logged(rig, /^sock=client at=warning code=H28 /)
    },
    [dyno],
  )
})

test('a bad chunk in a request is 400 for the client and an incomplete request for the dyno', async () => {
  let seen = ''
  const dyno = await rawDyno((socket) => {
    socket.on('data', (chunk) => {
      seen += chunk
    })
    socket.on('error', () => {})
  })
  await within(
    {},
    async (rig) => {
      rig.serve({ backends: [dyno.route()] })
      const bad = client(rig.port).write(get('Transfer-Encoding: chunked').replace('GET', 'POST'))
      await eventually(
        () => seen.includes('\r\n\r\n'),
        () => 'the head',
      )
      assert.match(await bad.write('3\r\nabc\r\n+0\r\n\r\n').untilClosed(), /^HTTP\/1.1 400 /)
      await logged(rig, /code=H26 desc="Request Error" cause="bad chunk"/)
      assert.not.match(seen, /0\r\n\r\n$/)
    },
    [dyno],
  )
})

test('a head that does not end in time is answered with 408, an idle connection is closed without a word', () =>
  within({ head: 300, clientIdle: 300 }, async (rig) => {
    assert.match(await client(rig.port).write('GET / HT').untilClosed(), /^HTTP\/1.1 408 /)
    assert.is(await client(rig.port).untilClosed(), '')
  }))

test('running requests that do not end at shutdown are H24', async () => {
  const dyno = await rawDyno((socket) => socket.resume())
  const rig = await startRig({ shutdown: 50 })
  rig.serve({ backends: [dyno.route()] })
  const cut = client(rig.port).write(get())
  await eventually(
    () => dyno.accepted === 1,
    () => 'the request',
  )
  await rig.close()
  await cut.untilClosed()
  assert.match(rig.lines.join('\n'), /code=H24/)
  dyno.close()
})

test.run()
