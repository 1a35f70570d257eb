import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readConfig } from '../../daemon/config.ts'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { startPlatform } from './platform.ts'
import { freePorts } from './ports.ts'
import { createRsyslog } from './rsyslog.ts'
import { sampleFiles, web } from './source.ts'
import { waitFor } from './wait.ts'

/** Counts aloud, with characters of more than one byte. */
const talk = `$| = 1;
for (my $n = 1; ; $n++) { print "tick $n gr\\xc3\\xbc\\xc3\\x9fe \\xe6\\x97\\xa5\\xe6\\x9c\\xac\\n"; select undef, undef, undef, 0.05 }
`

const folder = await mkdtemp(join(tmpdir(), 'sluice-drains-'))
const { key, cert } = await ensureCertificates({ data: folder, domain: 'localhost', api: { hosts: [] } })
const ca = join(folder, 'tls', 'ca.pem')
const bundle = join(folder, 'bundle.pem')
const hostBundle = readConfig({}).caBundle
await writeFile(bundle, `${hostBundle ? await readFile(hostBundle, 'utf8') : ''}\n${await readFile(ca, 'utf8')}`)

interface Post {
  authorization: string | undefined
  headers: NodeJS.Dict<string | string[]>
  body: Buffer
}
const posts: Post[] = []
const https = createServer({ key, cert }, (req, res) => {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => {
    posts.push({ authorization: req.headers.authorization, headers: req.headers, body: Buffer.concat(chunks) })
    res.writeHead(204).end()
  })
})
await new Promise<void>((resolve) => https.listen(0, '127.0.0.1', resolve))

const { http: plain, tls } = await freePorts()
const rsyslog = await createRsyslog({
  plain,
  tls,
  certificate: { ca, cert: join(folder, 'tls', 'cert.pem'), key: join(folder, 'tls', 'key.pem') },
})
await rsyslog.start()
const platform = await startPlatform({ SLUICE_CA_BUNDLE: bundle, SLUICE_DRAIN_ALLOW: '127.0.0.1,localhost' })
test.after(async () => {
  await platform.stop()
  await rsyslog.stop()
  await rsyslog.remove()
  https.closeAllConnections()
  https.close()
  await rm(folder, { recursive: true, force: true })
})

const app = 'talkative'
const urls = {
  plain: `syslog://127.0.0.1:${plain}`,
  tls: `syslog+tls://localhost:${tls}`,
  https: `https://user:pa%3Ass@localhost:${(https.address() as AddressInfo).port}/in?from=sluice`,
}
const tokens = { plain: '', tls: '', https: '' }

async function heroku(...args: string[]): Promise<string> {
  const { code, output, stdout } = await platform.heroku([...args, '--app', app])
  assert.is(code, 0, `heroku ${args.join(' ')}: ${output}`)
  return stdout
}

await platform.prepare(async () => {
  await platform.createApp(app)
  const source = await platform.createSource({
    ...sampleFiles({ web, worker: 'perl talk.pl' }),
    'talk.pl': talk,
  })
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
  for (const url of Object.values(urls)) assert.is(await heroku('drains:add', url), `Successfully added drain ${url}\n`)
  const drains: { url: string; token: string }[] = JSON.parse(await heroku('drains', '--json'))
  for (const name of ['plain', 'tls', 'https'] as const)
    tokens[name] = drains.find(({ url }) => url === urls[name])?.token ?? ''
  await heroku('ps:scale', 'worker=1')
})

type Name = keyof typeof urls

/** Texts of the POSTs, each message checked against its length and each POST against its count. */
function posted(): string[] {
  return posts.flatMap(({ headers, body }) => {
    const found: string[] = []
    for (let rest = body; rest.length > 0; ) {
      const space = rest.indexOf(' ')
      const end = space + 1 + Number(rest.subarray(0, space))
      found.push(rest.subarray(space + 1, end).toString())
      rest = rest.subarray(end)
    }
    assert.is(found.length, Number(headers['logplex-msg-count']))
    return found
  })
}

async function texts(name: Name): Promise<string[]> {
  if (name === 'https') return posted().map((message) => / - (.*)\n$/.exec(message)?.[1] ?? message)
  const messages = await rsyslog.messages()
  return messages.filter(({ host }) => host === tokens[name]).map(({ msg }) => msg.trim())
}

/** The ticks that have come, each once. */
async function ticks(name: Name): Promise<number[]> {
  const found = (await texts(name)).flatMap((text) => /^tick (\d+) grüße 日本$/.exec(text)?.[1] ?? [])
  return [...new Set(found.map(Number))]
}

const newest = async (name: Name) => (await ticks(name)).at(-1) ?? 0

/** Waits for 20 ticks more, then asserts that none is missing since the first. */
async function noneMissing(name: Name): Promise<void> {
  const from = await newest(name)
  await waitFor(`twenty more ticks over ${name}`, async () => (await newest(name)) >= from + 20)
  const found = await ticks(name)
  const first = found[0] ?? 0
  assert.equal(
    found,
    Array.from({ length: found.length }, (_, index) => first + index),
    `ticks over ${name}`,
  )
  assert.is(first, 1)
}

test('rsyslog understands every part, over TCP and over TLS with an authority of the operator’s', async () => {
  await waitFor('the app to answer', async () => /^v1 /.test((await platform.request(app)).body))
  for (const name of ['plain', 'tls'] as const) {
    await noneMissing(name)
    const seen = (wanted: RegExp) =>
      waitFor(`${wanted} over ${name}`, async () =>
        (await rsyslog.messages()).find(({ host, msg }) => host === tokens[name] && wanted.test(msg)),
      )
    const tick = await seen(/tick/)
    assert.equal(
      { ...tick, msg: '', time: '' },
      {
        ...{ pri: '190', host: tokens[name], app: 'app', proc: 'worker.1', msg: '', time: '' },
      },
    )
    assert.match(tick.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}\+00:00$/)
    assert.ok(Math.abs(Date.parse(tick.time) - Date.now()) < 300_000)
    const router = await seen(/^ ?at=info method=GET/)
    assert.equal([router.pri, router.app, router.proc], ['158', 'heroku', 'router'])
    const api = await seen(/Scaled to/)
    assert.equal([api.pri, api.app, api.proc], ['133', 'app', 'api'])
  }
})

test('an HTTPS receiver gets batches with Heroku’s headers', async () => {
  await noneMissing('https')
  const [first] = posts
  assert.is(first?.authorization, `Basic ${btoa('user:pa:ss')}`)
  assert.is(first?.headers['content-type'], 'application/logplex-1')
  assert.is(first?.headers['logplex-drain-token'], tokens.https)
  assert.is(new Set(posts.map(({ headers }) => headers['logplex-frame-id'])).size, posts.length)
  assert.match(
    posted().find((message) => message.includes('tick')) ?? '',
    /^<190>1 \S+\.\d{6}\+00:00 host app worker\.1 - tick \d+ /,
  )
})

test('a restart of the daemon loses no line, whether it is stopped or killed', async () => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await platform.daemon.kill(signal)
    await platform.startDaemon()
    for (const name of ['plain', 'tls', 'https'] as const) await noneMissing(name)
  }
})

test('a receiver that is away gets the lines when it is back; logs tell why, and go on', async () => {
  await rsyslog.stop()
  await waitFor('an L13 in the logs', async () =>
    (await heroku('logs', '--num', '1500')).includes(
      'heroku[logplex]: Error L13 (delivery error): error="connection refused"',
    ),
  )
  const from = await newest('https')
  await waitFor('the other drain to go on', async () => (await newest('https')) > from + 20)
  await rsyslog.start()
  for (const name of ['plain', 'tls'] as const) await noneMissing(name)
})

test('a removed drain gets nothing more', async () => {
  assert.is(await heroku('drains:remove', urls.plain), `Successfully removed drain ${urls.plain}\n`)
  await heroku('drains:remove', tokens.https)
  // what was sent before that has come when so much more has
  await noneMissing('tls')
  const before = [(await texts('plain')).length, posts.length]
  await noneMissing('tls')
  assert.equal([(await texts('plain')).length, posts.length], before)
  assert.is(await heroku('drains'), `=== Drains\n\n${urls.tls} (${tokens.tls})\n`)
})

test('no part of a URL that may be secret is in the daemon’s log', () => {
  assert.not.match(platform.daemon.log(), /pa%3Ass|pa:ss|from=sluice/)
})

test.run()
