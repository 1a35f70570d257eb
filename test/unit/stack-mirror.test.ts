import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { aptSources } from '../../buildpacks/stack/mirror.ts'

async function sourcesFrom(files: Record<string, string>, release?: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-apt-'))
  try {
    await mkdir(join(folder, 'sources.list.d'))
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
    return await aptSources(folder, release)
  } finally {
    await rm(folder, { recursive: true })
  }
}

const DEB822 = `Types: deb
# a comment amid the stanza
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`
const EXPECTED = `deb http://mirror.example/debian trixie main
deb http://mirror.example/debian trixie-updates main
deb http://mirror.example/debian-security trixie-security main
`

test("the mirrors of the stack are the host's own, whatever release it runs", async () => {
  const host = { 'sources.list.d/debian.sources': DEB822 }
  assert.is(await sourcesFrom(host), EXPECTED)
  assert.is(await sourcesFrom(host, 'bookworm'), EXPECTED.replaceAll('trixie', 'bookworm'))
})

test('one-line sources with options are read too', async () => {
  const list = `# deb http://old.example/debian bookworm main
deb [signed-by=/usr/share/keyrings/k.gpg arch=amd64] http://mirror.example/debian stable main contrib
deb-src http://source.example/debian stable main
deb http://mirror.example/debian-security stable-security main
`
  assert.is(await sourcesFrom({ 'sources.list': list }), EXPECTED)
})

test("sources of others than Debian and those switched off don't count", async () => {
  const files = {
    'sources.list.d/a.list': 'deb http://other.example/apt tool-bookworm main\n',
    'sources.list.d/b.sources': 'Types: deb\nURIs: http://off.example/debian\nSuites: bookworm\nEnabled: no\n',
    'sources.list.d/c.sources': DEB822,
    'sources.list.d/d.sources.bak': 'Types: deb\nURIs: http://bak.example/debian\nSuites: bookworm\n',
  }
  assert.is(await sourcesFrom(files), EXPECTED)
})

test('a mirror without security updates does', async () => {
  assert.is(
    await sourcesFrom({ 'sources.list': 'deb http://mirror.example/debian sid main\n' }),
    EXPECTED.split('\n').slice(0, 2).join('\n').concat('\n'),
  )
})

test('a host that knows no mirror of Debian is told what to do', async () => {
  try {
    await sourcesFrom({ 'sources.list': 'deb http://archive.example/ubuntu noble main\n' })
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, /names none. Add one, or pull heroku\/heroku:24/)
  }
})

test.run()
