import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Gate, parseBalancers } from '../../router/gate.ts'
import { limits } from '../../router/limits.ts'
import { ask, startSecureRig } from './router-http2-rig.ts'
import { httpDyno } from './router-rig.ts'

test('behind a load balancer HTTP/2 is from whom the PROXY header says, and its connection is counted until it closes', async () => {
  const gate = new Gate({ ...limits, connectionsPerAddress: 1 }, parseBalancers('127.0.0.1'))
  const rig = await startSecureRig({}, gate)
  const dyno = await httpDyno((req, res) => res.end(req.headers['x-forwarded-for']))
  rig.serve({ backends: [dyno.route()] })
  const visit = async (address: string) => {
    const socket = connect(rig.securePort, '127.0.0.1')
    socket.write(`PROXY TCP4 ${address} 192.0.2.1 40000 443\r\n`)
    const secure = connectTls({ socket, ALPNProtocols: ['h2'], servername: 'a.localhost', rejectUnauthorized: false })
    await once(secure, 'secureConnect')
    const session = connectHttp2('https://a.localhost', { createConnection: () => secure })
    const { body } = await ask(session)
    session.close()
    await once(socket, 'close')
    return body
  }
  try {
    for (const address of ['192.0.2.7', '192.0.2.8', '192.0.2.7']) assert.is(await visit(address), address)
  } finally {
    await rig.close()
    dyno.close()
  }
})

test.run()
