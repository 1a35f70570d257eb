import { type IncomingMessage, request } from 'node:http'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Dice } from '../vectors/dice.ts'
import { hasTabbedCoding, responseStream } from '../vectors/stream.ts'
import { type Dyno, eventually, type Rig, rawDyno, startRig } from './router-rig.ts'

/**
 * Random responses of a dyno, through the router to Node's client: it can always read what it gets, and what looks whole and like the dyno's
 * is what the client reads without a router. `SLUICE_FUZZ` and `SLUICE_FUZZ_SEED` as in router-fuzz.test.ts.
 */
const count = Number(process.env.SLUICE_FUZZ ?? 2000)
const first = Number(process.env.SLUICE_FUZZ_SEED ?? 1)

let rig: Rig
let dyno: Dyno
/** What the dyno says next; it closes then. */
let pieces: string[] = []

test.before(async () => {
  rig = await startRig()
  dyno = await rawDyno((socket) => {
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.once('data', async () => {
      for (const piece of pieces) {
        socket.write(piece, 'latin1')
        await new Promise(setImmediate)
      }
      socket.end()
    })
  })
  rig.serve({ backends: [dyno.route()] })
})

test.after(async () => {
  dyno.close()
  await rig.close()
})

interface Seen {
  /** Null: the response was broken off, or there was none. */
  whole: string | null
  error: string
}

/** Of fields only those that a router passes as they are. */
const PLAIN = ['x-a', 'x-b', 'x-c', 'cookie', 'accept', 'x-forwarded-for', 'x-request-id']

function ask(port: number, method: string, named: Set<string>): Promise<Seen> {
  return new Promise((resolve) => {
    const req = request({ port, method, agent: false, headers: { host: 'a.localhost' }, host: '127.0.0.1' })
    req.on('error', (error: NodeJS.ErrnoException) => resolve({ whole: null, error: error.code ?? error.message }))
    req.on('upgrade', (_, socket) => {
      socket.destroy()
      resolve({ whole: null, error: 'upgrade' })
    })
    req.on('response', (res: IncomingMessage) => {
      let body = ''
      res.on('data', (chunk) => {
        body += chunk.toString('latin1')
      })
      res.on('error', () => {})
      res.on('close', () => {
        const fields = res.rawHeaders.flatMap((name, i) => {
          const low = name.toLowerCase()
          return i % 2 === 0 && PLAIN.includes(low) && !named.has(low) ? [`${low}: ${res.rawHeaders[i + 1]}`] : []
        })
        const whole = JSON.stringify([res.statusCode, res.statusMessage, fields, body])
        resolve({ whole: res.complete ? whole : null, error: '' })
      })
    })
    req.end()
  })
}

const namedIn = (stream: string): Set<string> =>
  new Set(
    [...stream.matchAll(/connection:([^\r\n]*)/gi)].flatMap(([, value = '']) => value.toLowerCase().split(/[\s,]+/)),
  )

test(`${count} responses from seed ${first}: what passes is whole, and as Node reads it without a router`, async () => {
  const sum = { passed: 0, agreed: 0, refused: 0 }
  for (let seed = first; seed < first + count; seed++) {
    const dice = new Dice(seed)
    const method = dice.chance(15) ? 'HEAD' : 'GET'
    const stream = responseStream(dice, method)
    pieces = dice.cut(stream, 6)
    rig.lines.length = 0
    const seen = await ask(rig.port, method, namedIn(stream))
    await eventually(
      () => rig.lines.length === 1,
      () => `the log line of seed ${seed}`,
    )
    const context = `seed ${seed} ${method} ${JSON.stringify(stream)} ${seen.error} ${seen.whole} ${rig.lines}`
    assert.not.match(seen.error, /^HPE_/, context)
    const line = rig.lines[0] ?? ''
    if (line.startsWith('at=info')) {
      assert.ok(seen.whole, context)
      sum.passed++
      pieces = [stream]
      const direct = await ask(dyno.port, method, namedIn(stream))
      if (direct.whole === null || hasTabbedCoding(stream)) continue
      assert.is(seen.whole, direct.whole, context)
      sum.agreed++
    } else if (seen.whole !== null) {
      sum.refused++
      assert.match(line, / status=50[23] /, context)
      assert.match(seen.whole, /^\[50[23],/, context)
    }
  }
  console.log(sum)
  assert.ok(sum.passed > count / 4 && sum.refused > count / 20, `${JSON.stringify(sum)}: that shows nothing`)
  assert.ok(sum.agreed > sum.passed * 0.8, `${JSON.stringify(sum)}: that shows nothing`)
})

test.run()
