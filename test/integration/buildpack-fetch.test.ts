import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fetchBuildpack } from '../../daemon/build/buildpack/fetch.ts'
import { forget, sweepShelf } from '../../daemon/build/buildpack/shelf.ts'
import { readConfig } from '../../daemon/config.ts'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { type Served, serveBuildpacks } from './buildpack-server.ts'

/** Fetching alone, from a real git server, without an engine. */
const data = await mkdtemp(join(tmpdir(), 'sluice-fetch-'))
let now = Date.now()
const clock = { now: () => now } as Parameters<typeof fetchBuildpack>[0]['clock']
const config = readConfig({ SLUICE_DATA: data, SLUICE_DRAIN_ALLOW: '127.0.0.1', SLUICE_BUILDPACK_REGISTRY: 'none' })
const d = { config, clock, log: createLog(() => {}) }
const { signal } = new AbortController()
let served: Served
test.before(async () => {
  served = await serveBuildpacks()
})
test.before.each(() => {
  served.down = false
  served.asked.length = 0
})
test.after(async () => {
  await served.close()
  await rm(data, { recursive: true, force: true })
})

const pack = (says: string) => ({ 'bin/compile': `echo "${says}"\n` })
const fetch = (url: string) => fetchBuildpack(d, url, signal)
const files = ({ archive }: { archive: string }): string[] =>
  execFileSync('tar', ['-tf', archive])
    .toString()
    .split('\n')
    .filter((name) => name !== '' && !name.endsWith('/'))
    .sort()
const text = ({ archive }: { archive: string }, path: string): string =>
  execFileSync('tar', ['-xOf', archive, path]).toString()
const refusal = (url: string): Promise<string> =>
  fetch(url).then(
    () => '',
    (error: Error) => error.message,
  )

/** Fails when a program that is run meanwhile is told a password on its command line, where every user of the host may read it. */
async function withArguments<Result>(work: () => Promise<Result>): Promise<Result> {
  const bin = join(data, 'bin')
  await mkdir(bin, { recursive: true })
  const git = execFileSync('which', ['git']).toString().trim()
  await writeFile(join(bin, 'git'), `#!/bin/sh\necho "$@" >> ${bin}/said\nexec ${git} "$@"\n`, { mode: 0o755 })
  const { PATH } = process.env
  process.env.PATH = `${bin}:${PATH}`
  try {
    return await work()
  } finally {
    process.env.PATH = PATH
    const said = await readFile(join(bin, 'said'), 'utf8')
    assert.match(said, 'fetch')
    assert.not.match(said, /pass/)
  }
}

test('a ref is a branch, a tag, a commit or the beginning of one; without one it is the default branch', async () => {
  const url = await served.add('refs', pack('first'))
  const first = await served.git('refs', 'rev-parse', 'HEAD')
  await served.git('refs', 'tag', 'light')
  await served.git('refs', 'tag', '-a', '-m', 'x', 'v1.0')
  await served.git('refs', 'tag', 'both')
  await served.git('refs', 'checkout', '--quiet', '-b', 'archive/v250')
  await served.git('refs', 'commit', '--quiet', '--allow-empty', '-m', 'second')
  await served.git('refs', 'branch', 'both')
  const second = await served.git('refs', 'rev-parse', 'HEAD')
  for (const [ref, commit] of [
    ['', first],
    ['#', first],
    ['#main', first],
    ['#light', first],
    ['#v1.0', first],
    ['#refs/tags/v1.0', first],
    ['#archive/v250', second],
    ['#both', second],
    [`#${second}`, second],
    [`#${second.slice(0, 8)}`, second],
  ] as const)
    assert.is((await fetch(url + ref)).revision, commit, ref)
  assert.match(await refusal(`${url}#nowhere`), 'cannot be fetched: it has no branch, tag or commit "nowhere".')
  assert.match(await refusal(`${url}#0000000`), 'cannot be fetched: it has no branch, tag or commit "0000000".')
  assert.match(await refusal(`${url}#--upload-pack=x`), 'it has no branch, tag or commit "--upload-pack=x"')
})

test('what .gitattributes leaves out of archives is there, and there is no working tree and no .git', async () => {
  const url = await served.add('attributes', { ...pack('x'), 'test/t': 'x', '.gitattributes': 'test export-ignore\n' })
  assert.equal(files(await fetch(url)), ['.gitattributes', 'bin/compile', 'test/t'])
  assert.equal(
    (await readdir(join(data, 'buildpacks'))).filter((name) => !/^[0-9a-f-]+\.(tar|json)$/.test(name)),
    [],
  )
})

test('submodules come along, from URLs that are relative or whole, and their submodules', async () => {
  await served.add('inner', { inner: 'x' })
  const middle = await served.add('middle', { middle: 'x' })
  const add = (name: string, url: string, path: string) => served.git(name, 'submodule', '--quiet', 'add', url, path)
  await add('middle', '../inner.git', 'deep')
  await served.git('middle', 'commit', '--quiet', '-m', 'inner')
  const url = await served.add('outer', pack('outer'))
  await add('outer', middle, 'vendor/middle')
  await served.git('outer', 'commit', '--quiet', '-m', 'middle')
  assert.equal(files(await fetch(url)), [
    '.gitmodules',
    'bin/compile',
    'vendor/middle/.gitmodules',
    'vendor/middle/deep/inner',
    'vendor/middle/middle',
  ])
})

test('a submodule is fetched only from where a buildpack may come from', async () => {
  for (const [name, submodule, why] of [
    ['metadata', 'http://169.254.169.254/x.git', 'the address is not one that sources may be fetched from'],
    ['local', 'file:///etc', 'its URL must begin with https:// or http://'],
    ['shell', 'ext::sh -c id', 'its URL must begin with https:// or http://'],
  ] as const) {
    const url = await served.add(name, {
      ...pack('x'),
      '.gitmodules': `[submodule "x"]\n\tpath = x\n\turl = ${submodule}\n`,
    })
    await served.git(name, 'update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},x`)
    await served.git(name, 'commit', '--quiet', '-m', 'link')
    assert.match(await refusal(url), `its submodule x cannot be fetched: ${why}`)
  }
})

test('nothing is fetched from where users may not reach, also by a redirect', async () => {
  for (const url of [
    'http://169.254.169.254/x.git',
    'http://[::1]:1/x.tgz',
    'http://10.213.0.5/x.git',
    'http://0/x.tgz',
  ])
    assert.match(await refusal(url), 'not one that sources may be fetched from')
  served.answers.set('/away.git/info/refs', (_, res) =>
    res.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
  )
  served.answers.set('/away.tgz', (_, res) => res.writeHead(302, { location: 'http://169.254.169.254/' }).end())
  for (const path of ['away.git', 'away.tgz'])
    assert.match(await refusal(served.url(path)), 'not one that sources may be fetched from')
})

test('a repository may have moved; its user and password are for its first server only', async () => {
  await served.add('moved-to', pack('moved'))
  const other = served.url('moved-to.git').replace('127.0.0.1', 'localhost')
  served.answers.set('/moved.git/info/refs', (_, res) =>
    res.writeHead(301, { location: `${other}/info/refs?service=git-upload-pack` }).end(),
  )
  config.drainAllow.hosts.push('localhost')
  const fetched = await fetch(served.url('moved.git').replace('//', '//me:pass%40word@'))
  config.drainAllow.hosts.pop()
  assert.equal(files(fetched), ['bin/compile'])
  assert.is(served.asked[0]?.authorization, `Basic ${Buffer.from('me:pass@word').toString('base64')}`)
  assert.ok(served.asked.length > 2)
  for (const { what, authorization } of served.asked.slice(1)) assert.is(authorization, undefined, what)
})

test('a user and password reach the server with every request, and neither an argument nor a message', async () => {
  const url = (await served.add('private', pack('secret'))).replace('//', '//user:pass@')
  const { archive } = await withArguments(() => fetch(url))
  assert.ok(served.asked.some(({ what }) => what === 'POST /private.git/git-upload-pack'))
  for (const { what, authorization } of served.asked) assert.ok(authorization, what)
  assert.not.match(await refusal(served.url('missing.git?signature=s3cret').replace('//', '//me:pass@')), /pass|s3cret/)
  const commit = await served.git('private', 'rev-parse', 'HEAD')
  assert.is((await fetch(`${url}#${commit}`)).archive, archive)
  // What was fetched with a password is not had without it, though its commit is known.
  assert.is.not((await fetch(`${url.replace('user:pass@', '')}#${commit}`)).archive, archive)
  served.down = true
  assert.match(await refusal(`${url.replace('user:pass', 'user:other')}#${commit}`), 'cannot be fetched')
})

test('what a server sends is recorded, not what it says that it will send', async () => {
  const url = await served.add('liar', pack('lies'))
  served.name('liar.git', '1'.repeat(40))
  const { revision } = await fetch(`${url}#main`)
  assert.is(revision, await served.git('liar', 'rev-parse', 'HEAD'))
})

test('each build asks; a commit or archive that is here is not fetched again', async () => {
  const git = await served.add('again', pack('x'))
  const first = await fetch(git)
  served.asked.length = 0
  assert.is((await fetch(git)).archive, first.archive)
  assert.equal(
    served.asked.map(({ what }) => what),
    ['GET /again.git/info/refs'],
  )
  await served.git('again', 'commit', '--quiet', '--allow-empty', '-m', 'newer')
  assert.is((await fetch(git)).revision, await served.git('again', 'rev-parse', 'HEAD'))
  const url = `${await served.addArchive('again.tgz', pack('x'))}?a=b`
  const archive = await fetch(url)
  assert.is((await fetch(url)).archive, archive.archive)
  await served.addArchive('again.tgz', pack('y'))
  const newer = await fetch(url)
  assert.is.not(newer.revision, archive.revision)
  assert.is(text(newer, 'wrapped/bin/compile'), 'echo "y"\n')
})

test('without the network it is what it was, and says so; what was never here is refused', async () => {
  const git = await served.add('offline', pack('x'))
  const archive = await served.addArchive('offline.tgz', pack('x'))
  const before = [await fetch(`${git}#main`), await fetch(archive)]
  served.down = true
  const then = now
  now += 86_400_000
  for (const [index, url] of [`${git}#main`, archive].entries()) {
    const { stale, revision } = await fetch(url)
    assert.is(revision, before[index]?.revision)
    assert.equal(stale, { because: 'the connection broke', at: then })
  }
  assert.is((await fetch(`${git}#${before[0]?.revision}`)).stale, undefined)
  assert.match(await refusal(served.url('never.tgz')), /never\.tgz cannot be fetched: the connection broke\.$/)
  await forget(d, [`${git}#main`])
  assert.match(await refusal(`${git}#main`), 'cannot be fetched: the connection broke.')
})

test('a server that says no is not overheard', async () => {
  const archive = await served.addArchive('gone.tgz', pack('x'))
  await fetch(archive)
  served.answers.set('/gone.tgz', (_, res) => res.writeHead(404).end())
  assert.match(await refusal(archive), 'the server answered with status 404')
  served.answers.set('/gone.tgz', (_, res) => res.writeHead(503).end())
  assert.is((await fetch(archive)).stale?.because, 'the server answered with status 503')
  served.answers.set('/secret.git/info/refs', (_, res) => res.writeHead(401).end())
  assert.match(await refusal(served.url('secret.git')), 'asks for a user and a password')
  served.answers.set('/page.git/info/refs', (_, res) => res.end('<html>'))
  assert.match(await refusal(served.url('page.git')), 'there is no git repository at this URL')
  assert.match(await refusal(served.url('none.git')), 'there is no such repository')
})

test('builds that want the same at once share one fetch, which ends with the last of them', async () => {
  const url = await served.add('shared', pack('x'))
  const impatient = new AbortController()
  const given = fetchBuildpack(d, url, impatient.signal).catch((error: Error) => error.message)
  const all = Promise.all([fetch(url), fetch(url), fetch(url)])
  impatient.abort(new Error('given up'))
  assert.is(await given, 'given up')
  assert.is(new Set((await all).map(({ archive }) => archive)).size, 1)
  assert.is(served.asked.filter(({ what }) => what === 'GET /shared.git/info/refs').length, 2)
})

test('a proxy of the host, which would look names up itself, is not used', async () => {
  const url = await served.add('proxied', pack('x'))
  process.env.http_proxy = 'http://127.0.0.1:1'
  try {
    assert.equal(files(await fetch(url)), ['bin/compile'])
  } finally {
    delete process.env.http_proxy
  }
})

test('nothing is fetched onto a disk that is almost full', async () => {
  const [git, archive] = [await served.add('full', pack('x')), await served.addArchive('full.tgz', pack('x'))]
  const { diskReserve } = limits
  try {
    Object.assign(limits, { diskReserve: Number.MAX_SAFE_INTEGER })
    for (const url of [git, archive]) assert.match(await refusal(url), 'The disk of this host is almost full')
  } finally {
    Object.assign(limits, { diskReserve })
  }
})

test('an archive beyond the bound is refused, and nothing of it is left', async () => {
  const most = limits.buildpackSize
  const url = await served.addArchive('large.tar', { 'bin/compile': 'x'.repeat(100_000) })
  try {
    Object.assign(limits, { buildpackSize: 50_000 })
    assert.match(await refusal(url), 'cannot be fetched: it is larger than')
  } finally {
    Object.assign(limits, { buildpackSize: most })
  }
  assert.not((await readdir(join(data, 'buildpacks'))).some((name) => name.endsWith('.part')))
})

test('what no build has used for a month goes, and what a crash left; what is used stays', async () => {
  const used = await served.addArchive('used.tgz', pack('used'))
  const unused = await served.addArchive('unused.tgz', pack('unused'))
  const [one, other] = [await fetch(used), await fetch(unused)]
  const part = join(data, 'buildpacks', 'crashed.part')
  await writeFile(part, 'x')
  await utimes(part, now / 1000, now / 1000)
  now += limits.buildpackKept - 1000
  await fetch(used)
  await sweepShelf(d)
  const there = async () => (await readdir(join(data, 'buildpacks'))).map((name) => join(data, 'buildpacks', name))
  assert.not((await there()).includes(part))
  assert.ok((await there()).includes(other.archive))
  now += 2000
  await sweepShelf(d)
  assert.equal(
    (await there()).filter((path) => path.endsWith('.tar')),
    [one.archive],
  )
  served.down = true
  assert.ok((await fetch(used)).stale)
  assert.match(await refusal(unused), 'cannot be fetched')
})

test('of all that was fetched only so much is kept, the newest; what a build may just use is left', async () => {
  const most = limits.buildpacksSize
  const [older, newer] = await Promise.all(
    ['older.tgz', 'newer.tgz'].map((name) => served.addArchive(name, { 'bin/compile': name })),
  )
  const first = await fetch(String(older))
  now += limits.sweep + 1000
  const second = await fetch(String(newer))
  try {
    Object.assign(limits, { buildpacksSize: 0 })
    await sweepShelf(d)
  } finally {
    Object.assign(limits, { buildpacksSize: most })
  }
  const there = await readdir(join(data, 'buildpacks'))
  assert.not(there.some((name) => first.archive.endsWith(name)))
  assert.ok(there.some((name) => second.archive.endsWith(name)))
})

test.run()
