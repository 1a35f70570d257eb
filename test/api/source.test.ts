import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openSource } from '../../daemon/build/source/blob.ts'
import { recoverUploads, sweepUploads } from '../../daemon/build/source/upload.ts'
import { limits } from '../../daemon/limits.ts'
import { startHost } from './host.ts'

const host = await startHost({ SLUICE_DRAIN_ALLOW: '127.0.0.1' })
const { d } = host
const folder = await mkdtemp(join(tmpdir(), 'sluice-sources-'))
test.after(async () => {
  await host.close()
  await rm(folder, { recursive: true, force: true })
})

await mkdir(join(folder, 'top', 'lib'), { recursive: true })
await writeFile(join(folder, 'top', 'Procfile'), 'web: node server.js\n')
await writeFile(join(folder, 'top', 'lib', 'x.js'), '1')
const pack = (...args: string[]): Buffer => execFileSync('tar', ['-C', folder, '-cf', '-', ...args])
const flat = pack('-z', '-C', 'top', '.')
const wrapped = pack('-z', 'top')

const signal = new AbortController().signal
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const list = async (archive: Readable): Promise<string[]> =>
  execFileSync('tar', ['-tf', '-'], { input: Buffer.concat(await archive.toArray()) })
    .toString()
    .trim()
    .split('\n')
    .sort()
const refusal = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'it was taken',
    (error: Error) => error.message,
  )

async function create(): Promise<{ get_url: string; put_url: string }> {
  const { status, json } = await host.request('POST', '/sources')
  assert.is(status, 201)
  return json.source_blob
}
const put = (url: string, body: Buffer | string) => fetch(url, { method: 'PUT', body })
const kept = () => readdir(join(d.config.data, 'sources'))

/** A stranger's server. */
const answers = new Map<string, (req: IncomingMessage, res: ServerResponse) => void>()
const missing = (_: IncomingMessage, res: ServerResponse) => void res.writeHead(404).end()
const stranger = createServer((req, res) => (answers.get(String(req.url)) ?? missing)(req, res))
await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
test.after(() => void stranger.close())
const away = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`

test('a source is sent to put_url without a token and read from get_url', async () => {
  const { put_url, get_url } = await create()
  assert.ok(put_url.startsWith(`${host.url}/sources/`))
  assert.is((await fetch(get_url)).status, 404)
  assert.is((await put(put_url, flat)).status, 200)
  const back = await fetch(get_url)
  assert.is(back.headers.get('content-length'), String(flat.length))
  assert.equal(Buffer.from(await back.arrayBuffer()), flat)
  assert.is((await fetch(get_url, { method: 'HEAD' })).status, 200)
  const { archive, key } = await openSource(d, get_url, { checksum: `SHA256:${sha256(flat)}`, signal })
  assert.is(key, sha256(flat))
  assert.equal(await list(archive), ['Procfile', 'lib/', 'lib/x.js'])
})

test('a link opens its own source, in its own direction, for an hour', async () => {
  const { put_url, get_url } = await create()
  const other = await create()
  assert.is((await put(get_url, flat)).status, 404)
  assert.is(
    (await put(other.put_url.replace(/sources\/[^?]+/, put_url.match(/sources\/[^?]+/)?.[0] ?? ''), flat)).status,
    404,
  )
  assert.is((await put(put_url.replace(/key=.*/, 'key=x'), flat)).status, 404)
  assert.is((await put(put_url.replace(/\?.*/, ''), flat)).status, 404)
  await put(put_url, flat)
  const { now } = d.clock
  d.clock.now = () => now() + 3_600_001
  try {
    assert.is((await put(put_url, flat)).status, 404)
    assert.is((await fetch(get_url)).status, 404)
    assert.match(await refusal(openSource(d, get_url, { signal })), 'its link is too old. Send it again')
  } finally {
    d.clock.now = now
  }
})

test('a source sent again takes the place of the first; two at once leave one of them whole', async () => {
  const { put_url, get_url } = await create()
  await put(put_url, flat)
  await put(put_url, wrapped)
  assert.equal(Buffer.from(await (await fetch(get_url)).arrayBuffer()), wrapped)
  await Promise.all([put(put_url, flat), put(put_url, wrapped)])
  const { key, archive } = await openSource(d, get_url, { signal })
  const bytes = Buffer.from(await (await fetch(get_url)).arrayBuffer())
  assert.is(key, sha256(bytes))
  archive.destroy()
  const files = (await kept()).filter((name) => put_url.includes(name.replace(/\..*$/, '')))
  assert.is(files.filter((name) => name.endsWith(key)).length, 1)
})

test('an upload that is broken off leaves nothing', async () => {
  const { put_url, get_url } = await create()
  const before = (await kept()).sort()
  const sending = request(put_url, { method: 'PUT', headers: { 'content-length': 1_000_000 } })
  sending.on('error', () => undefined)
  sending.write(Buffer.alloc(100_000))
  while ((await kept()).length === before.length) await new Promise((resolve) => setTimeout(resolve, 5))
  sending.destroy()
  while ((await kept()).length > before.length) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal((await kept()).sort(), before)
  assert.is((await fetch(get_url)).status, 404)
})

test('a source beyond the bound is refused with 413, which the client can read, and leaves nothing', async () => {
  const { put_url } = await create()
  const before = (await kept()).length
  const bound = limits.sourceSize
  Object.assign(limits, { sourceSize: 100_000 })
  try {
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(Buffer.alloc(50_000))
        if (++pulls === 60) controller.close()
      },
    })
    let pulls = 0
    const chunked = await fetch(put_url, { method: 'PUT', body, duplex: 'half' } as RequestInit)
    for (const answer of [chunked, await put(put_url, Buffer.alloc(3_000_000))]) {
      assert.is(answer.status, 413)
      assert.match(await answer.text(), 'The source is larger than 97.7K.')
    }
    assert.is((await put(put_url, Buffer.alloc(100_000))).status, 200)
  } finally {
    Object.assign(limits, { sourceSize: bound })
  }
  assert.is((await kept()).length, before + 1)
})

test('an archive that is small only when it is packed is refused while it is unpacked', async () => {
  const { put_url, get_url } = await create()
  await writeFile(join(folder, 'zeros'), Buffer.alloc(3_000_000))
  const bomb = pack('-z', 'zeros')
  assert.ok(bomb.length < 10_000)
  await put(put_url, bomb)
  answers.set('/bomb', (_, res) => res.end(bomb))
  const bound = limits.sourceSize
  Object.assign(limits, { sourceSize: 1_000_000 })
  try {
    for (const url of [get_url, `${away}/bomb`]) {
      const read = openSource(d, url, { signal }).then(({ archive }) => archive.toArray())
      assert.match(await refusal(read), 'The source is larger than 976.6K')
    }
  } finally {
    Object.assign(limits, { sourceSize: bound })
  }
})

test('on a disk that is almost full nothing is received, and the answer says so', async () => {
  const { put_url } = await create()
  const reserve = limits.diskReserve
  Object.assign(limits, { diskReserve: Number.MAX_SAFE_INTEGER })
  const answer = await put(put_url, flat)
  Object.assign(limits, { diskReserve: reserve })
  assert.is(answer.status, 500)
  assert.match(await answer.text(), 'The disk of this host is almost full')
  assert.is((await put(put_url, flat)).status, 200)
})

test('what is no archive, has a wrong checksum or was never sent is refused in words', async () => {
  const { put_url, get_url } = await create()
  assert.match(await refusal(openSource(d, get_url, { signal })), "Couldn't find that source. Send it with PUT")
  await put(put_url, flat)
  const checksum = `SHA256:${'0'.repeat(64)}`
  assert.match(await refusal(openSource(d, get_url, { checksum, signal })), `SHA256:${sha256(flat)}, not ${checksum}`)
  assert.match(await refusal(openSource(d, get_url, { checksum: 'md5', signal })), 'must be SHA256: and 64 hex digits')
  for (const [content, why] of [
    ['hello', 'neither a tar nor a tar.gz'],
    ['PK\x03\x04 and so on', 'It is a zip file. Send a tar or a tar.gz (tar czf source.tgz .).'],
    [Buffer.from('fd377a585a00', 'hex'), 'It is a xz file.'],
    [Buffer.from('28b52ffd0000', 'hex'), 'It is a zstd file.'],
    ['BZh91AY', 'It is a bzip2 file.'],
    [flat.subarray(0, flat.length - 20), 'its compressed data cannot be read'],
  ] as const) {
    await put(put_url, content)
    assert.match(await refusal(openSource(d, get_url, { signal })), why)
  }
  await put(put_url, '')
  assert.match(await refusal(openSource(d, get_url, { signal })), 'It is empty')
})

test('a source from elsewhere is fetched, and taken out of the one folder that holds it', async () => {
  answers.set('/wrapped', (_, res) => res.end(wrapped))
  answers.set('/flat', (_, res) => res.end(pack('-C', 'top', '.')))
  answers.set('/moved', (_, res) => res.writeHead(302, { location: '/wrapped' }).end())
  for (const path of ['/wrapped', '/flat', '/moved'])
    assert.equal(await list((await openSource(d, away + path, { signal })).archive), ['Procfile', 'lib/', 'lib/x.js'])
  const { put_url, get_url } = await create()
  await put(put_url, wrapped)
  assert.equal(await list((await openSource(d, get_url, { signal })).archive), [
    'top/',
    'top/Procfile',
    'top/lib/',
    'top/lib/x.js',
  ])
})

test('credentials in a URL are sent to its host, and to no other', async () => {
  let heard: (string | undefined)[] = []
  answers.set('/secret', (req, res) => {
    heard.push(req.headers.authorization)
    res.writeHead(302, { location: `${away.replace('127.0.0.1', 'localhost')}/next` }).end()
  })
  answers.set('/next', (req, res) => {
    heard.push(req.headers.authorization)
    res.end(wrapped)
  })
  const url = away.replace('http://', 'http://me:pass%40word@')
  d.config.drainAllow.hosts.push('localhost')
  const { archive } = await openSource(d, `${url}/secret`, { signal })
  archive.destroy()
  d.config.drainAllow.hosts.pop()
  assert.equal(heard, [`Basic ${Buffer.from('me:pass@word').toString('base64')}`, undefined])
  heard = []
  assert.not.match(await refusal(openSource(d, `${url}/gone?signature=s3cret`, { signal })), /pass|s3cret/)
})

test('a source is not fetched from where users may not reach, also by a redirect', async () => {
  for (const url of ['http://169.254.169.254/latest', 'http://[::1]:1/x', 'http://10.213.0.5/', 'http://0/'])
    assert.match(await refusal(openSource(d, url, { signal })), 'not one that sources may be fetched from')
  answers.set('/inside', (_, res) => res.writeHead(302, { location: 'http://169.254.169.254/' }).end())
  assert.match(await refusal(openSource(d, `${away}/inside`, { signal })), 'not one that sources may be fetched from')
  answers.set('/loop', (_, res) => res.writeHead(302, { location: '/loop' }).end())
  assert.match(await refusal(openSource(d, `${away}/loop`, { signal })), 'redirects more than 5 times')
  answers.set('/file', (_, res) => res.writeHead(302, { location: 'file:///etc/passwd' }).end())
  assert.match(await refusal(openSource(d, `${away}/file`, { signal })), 'must begin with https:// or http://')
  assert.match(await refusal(openSource(d, `${away}/missing`, { signal })), 'the server answered with status 404')
  answers.set('/cut', (_, res) => {
    res.writeHead(200, { 'content-length': 1000 }).write('x', () => res.destroy())
  })
  assert.match(await refusal(openSource(d, `${away}/cut`, { signal })), 'the connection broke')
  for (const url of ['ftp://example.com/x', 'nonsense', 'http://', `http://a/${'x'.repeat(9000)}`])
    assert.match(await refusal(openSource(d, url, { signal })), 'The URL of the source is not valid')
})

test('nothing of what was fetched is left, whatever became of it', async () => {
  assert.equal(
    (await kept()).filter((name) => name.endsWith('.part')),
    [],
  )
})

test('sources go after a day, the oldest of too many at once, and what a crash left at the next start', async () => {
  const { put_url } = await create()
  await put(put_url, flat)
  await writeFile(join(d.config.data, 'sources', 'crashed.part'), 'x')
  await recoverUploads(d)
  assert.not.ok((await kept()).includes('crashed.part'))
  for (let n = 0; n < 50; n++) await create()
  assert.is((await put(put_url, flat)).status, 404)
  assert.equal(await kept(), [])
  const last = await create()
  await put(last.put_url, flat)
  assert.is((await kept()).length, 1)
  const { now } = d.clock
  d.clock.now = () => now() + 24 * 3_600_000 + 1
  await sweepUploads(d)
  d.clock.now = now
  assert.equal(await kept(), [])
  assert.equal(await d.db.selectFrom('sources').select('id').execute(), [])
})

test('a token is needed to make a source, and rights to make one for an app', async () => {
  assert.is((await host.request('POST', '/sources', { token: null })).status, 401)
  const app = (await host.request('POST', '/apps', { body: { name: 'sourced' } })).json
  assert.is((await host.request('POST', '/apps/sourced/sources')).status, 201)
  const { token } = await host.invite('stranger@example.com')
  assert.is((await host.request('POST', `/apps/${app.id}/sources`, { token })).status, 404)
})

test.run()
