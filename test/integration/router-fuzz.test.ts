import { METHODS } from 'node:http'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Dice } from '../vectors/dice.ts'
import { hasTabbedCoding, requestStream } from '../vectors/stream.ts'
import { converse, type Reading, type Recorder, record, recordBehindNginx, show } from './recorder.ts'
import { type Rig, startRig } from './router-rig.ts'

/**
 * Random streams of requests. Whatever the router passes on, Node's parser and nginx read as the same request: of what the client sent, and
 * of what the router made of it. `SLUICE_FUZZ` says how many streams, `SLUICE_FUZZ_SEED` which is the first; a failure names its seed.
 */
const count = Number(process.env.SLUICE_FUZZ ?? 600)
const first = Number(process.env.SLUICE_FUZZ_SEED ?? 1)

let rig: Rig
let behind: Rig
let by: { router: Recorder; direct: Recorder; nginx: Recorder; both: Recorder }

test.before(async () => {
  rig = await startRig({ linger: 50 })
  behind = await startRig({ linger: 50 })
  by = {
    router: await record(),
    direct: await record(),
    nginx: await recordBehindNginx(),
    both: await recordBehindNginx(),
  }
  const to = (port: number) => ({ id: 'd', dyno: 'web.1', address: '127.0.0.1', port, mode: 'serve' as const })
  rig.serve({ backends: [to(by.router.port)] })
  behind.serve({ backends: [to(by.both.port)] })
})

test.after(async () => {
  for (const recorder of Object.values(by)) recorder.close()
  await rig.close()
  await behind.close()
})

/** What a router removes, replaces or appends to, and what nginx does not pass. */
const NOT_COMPARED = new Set([
  ...[
    'connection',
    'keep-alive',
    'te',
    'proxy-connection',
    'transfer-encoding',
    'content-length',
    'upgrade',
    'expect',
    'via',
  ],
  ...['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-port', 'x-request-id', 'x-request-start', 'host'],
])

/** A reading without what may differ; `named`: by some Connection of the stream. */
function comparable({ method, target, fields, body }: Reading, named: Set<string>): string {
  const path = target.replace(/^https?:\/\/[^/?]*\/?/i, '/')
  const host = fields.filter(([name]) => name === 'host').map(([, value]) => value)
  const rest = fields.filter(([name]) => !named.has(name) && !NOT_COMPARED.has(name.replaceAll('_', '-')))
  return JSON.stringify({ method, path, host, rest, body })
}

const namedIn = (stream: string): Set<string> =>
  new Set(
    [...stream.matchAll(/connection:([^\r\n]*)/gi)].flatMap(([, value = '']) => value.toLowerCase().split(/[\s,]+/)),
  )

interface Heard {
  passed: string[]
  direct: string[]
  nginx: string[]
  both: string[]
}

async function hear(seed: number, stream: string): Promise<Heard> {
  for (const recorder of Object.values(by)) recorder.readings.length = 0
  for (const { lines } of [rig, behind]) lines.length = 0
  const pieces = new Dice(seed).cut(stream, 6)
  const answers = await converse(rig.port, pieces)
  const count = by.router.readings.length
  const [direct, nginx] = await Promise.all([
    show(by.direct, stream, count),
    show(by.nginx, stream, count),
    converse(behind.port, [stream]),
  ])
  await agreesWithLog(answers)
  const named = namedIn(stream)
  const read = (readings: Reading[]) => readings.map((reading) => comparable(reading, named))
  return { passed: read(by.router.readings), direct: read(direct), nginx: read(nginx), both: read(by.both.readings) }
}

/** The dyno has read as many requests as the router says, and the same ones; the client has got as many answers. */
async function agreesWithLog(answers: string): Promise<void> {
  const served = rig.lines.filter((line) => line.includes(' status=200 '))
  const said = served.map((line) => /method=(\S+) path="(.*)" host=/.exec(line)?.slice(1, 3))
  const read = by.router.readings.map(({ method, target }) => [method, target.replaceAll('"', '%22')])
  assert.equal(said, read)
  assert.is(answers.match(/HTTP\/1\.1 200 /g)?.length ?? 0, read.length)
  assert.not.match(answers, /\(no end\)/)
}

/** Node takes a body of that coding for none in a request to upgrade, and refuses it in others. */
const isMisread = (stream: string): boolean => hasTabbedCoding(stream) && /^upgrade:/im.test(stream)

/** Node refuses methods that it does not know, and nothing else that the router lets pass. */
function refusedByNode(): boolean {
  const refused = rig.lines.filter((line) => / status=400 /.test(line) && line.startsWith('at=info '))
  for (const line of refused) assert.not.ok(METHODS.includes(/method=(\S+)/.exec(line)?.[1] ?? ''), line)
  return refused.length > 0
}

/** Readings that are not among those, in their order; there may be less, because nginx refuses some, such as `OPTIONS *`. */
function strangers(readings: string[], among: string[]): string[] {
  let at = 0
  return readings.filter((reading) => {
    const found = among.indexOf(reading, at)
    if (found !== -1) at = found + 1
    return found === -1
  })
}

const detail = (error: unknown): string =>
  error instanceof assert.Assertion
    ? `${error.message}\n${JSON.stringify(error.actual)}\nnot ${JSON.stringify(error.expects)}`
    : String(error)

test(`${count} streams from seed ${first}: what passes, Node and nginx read in the same way`, async () => {
  const sum = { passed: 0, direct: 0, nginx: 0, both: 0 }
  for (let seed = first; seed < first + count; seed++) {
    const stream = requestStream(new Dice(seed))
    try {
      const { passed, direct, nginx, both } = await hear(seed, stream)
      sum.passed += passed.length
      for (const [other, readings] of Object.entries({ direct: isMisread(stream) ? [] : direct, nginx })) {
        const shared = Math.min(passed.length, readings.length)
        assert.equal(readings.slice(0, shared), passed.slice(0, shared), `read by ${other}`)
        sum[other as 'direct'] += shared
      }
      if (refusedByNode()) continue
      assert.equal(strangers(both, passed), [], 'read by nginx of what the router made of it')
      sum.both += both.length
    } catch (error) {
      throw new Error(`seed ${seed}: ${detail(error)}\n${JSON.stringify(stream)}`, { cause: error })
    }
  }
  console.log(sum)
  assert.ok(sum.passed > count / 2, `only ${sum.passed} requests pass: that shows nothing`)
  for (const [other, readings] of Object.entries(sum))
    assert.ok(readings > sum.passed * 0.7, `${other} reads only ${readings} of ${sum.passed}: that shows nothing`)
})

test.run()
