import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isArchive } from '../../daemon/build/buildpack/fetch.ts'
import { createFlights } from '../../daemon/build/buildpack/flight.ts'
import { gitSettings, parseRefs, refNamed } from '../../daemon/build/source/repository.ts'

test('an archive is known by the end of its path, also of GitHub, whatever is asked of it', () => {
  for (const path of [
    ...[
      'a.tgz',
      'a.tar',
      'a.tar.gz',
      'a.TGZ',
      'a.tbz',
      'a.tbz2',
      'a.tar.bz2',
      'a.tar.xz',
      'a.txz',
      'a.tar.zst',
      'a.tzst',
    ],
    ...[
      'a.tgz?x=y.git',
      'tarball/main',
      'tarball/archive/v250',
      'legacy.tar.gz/main',
      'archive/refs/heads/main.tar.gz',
    ],
  ])
    assert.ok(isArchive(`https://example.com/${path}`), path)
  for (const path of ['a', 'a.git', 'a.git#v1.tgz', 'tarball', 'a.tgz/b', 'a?x=a.tgz'])
    assert.not(isArchive(`https://example.com/${path}`), path)
})

test('git connects to the addresses that were allowed, and sends a password to one URL', () => {
  const to = (url: string, addresses: string[]) =>
    Object.fromEntries(
      gitSettings(new URL(url), { addresses, caBundle: undefined, authorization: 'Basic x' }) as [string, string][],
    )
  const named = to('https://example.com/a.git', ['192.0.2.1', '2001:db8::1'])
  assert.is(named['http.curloptResolve'], 'example.com:443:192.0.2.1,[2001:db8::1]')
  assert.is(named['http.followRedirects'], 'false')
  assert.is(named['http.https://example.com/a.git.extraHeader'], 'Authorization: Basic x')
  assert.is(to('http://example.com:81/a', ['192.0.2.1'])['http.curloptResolve'], 'example.com:81:192.0.2.1')
  assert.is(to('http://192.0.2.1/a', ['192.0.2.1'])['http.curloptResolve'], undefined)
})

const line = (text: string) => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`
const [one, two, three] = ['1', '2', '3'].map((digit) => digit.repeat(40))

test('what a git server says first gives its refs, a tag as its commit', () => {
  const said = [
    ...[line('# service=git-upload-pack\n'), '0000', line(`${one} HEAD\0multi_ack symref=HEAD:refs/heads/main\n`)],
    ...[line(`${one} refs/heads/main\n`), line(`${two} refs/tags/v1\n`), line(`${three} refs/tags/v1^{}\n`), '0000'],
  ].join('')
  const refs = parseRefs(Buffer.from(said))
  assert.equal(
    [...refs],
    [
      ['HEAD', one],
      ['refs/heads/main', one],
      ['refs/tags/v1', three],
    ],
  )
  assert.is(refNamed(refs, undefined), 'HEAD')
  assert.is(refNamed(refs, 'v1'), 'refs/tags/v1')
  assert.is(refNamed(refs, 'abcdef0'), undefined)
  assert.throws(() => refNamed(refs, 'abc'), /no branch, tag or commit "abc"/)
  assert.throws(() => parseRefs(Buffer.from('<html>')), /did not answer as a git server/)
})

test('an empty repository has no commits', () => {
  const empty = parseRefs(Buffer.from(`${line(`${'0'.repeat(40)} capabilities^{}\0x\n`)}0000`))
  assert.throws(() => refNamed(empty, undefined), /has no commits/)
})

test('work that was given up by all is ended, and begun anew by the next', async () => {
  const flights = createFlights<string>()
  const begun: AbortSignal[] = []
  const work = (signal: AbortSignal) => {
    begun.push(signal)
    return new Promise<string>((resolve) => (begun.length === 2 ? resolve('done') : undefined))
  }
  const impatient = new AbortController()
  const first = flights.join('key', impatient.signal, work).catch((error: Error) => error.message)
  impatient.abort(new Error('given up'))
  assert.is(await first, 'given up')
  assert.ok(begun[0]?.aborted)
  assert.is(await flights.join('key', new AbortController().signal, work), 'done')
})

test.run()
