import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { findApp } from '../../daemon/app/app.ts'
import { addCollaborator } from '../../daemon/app/collaborator.ts'
import { removeRepository } from '../../daemon/git/git.ts'
import { type Copy, type Rig, refused, startRig } from './git-rig.ts'

let rig: Rig
let copy: Copy
test.before.each(async () => {
  rig = await startRig()
  copy = await rig.copy()
  await copy.git('remote', 'add', 'heroku', rig.url)
})
test.after.each(() => rig.close())

/** What the platform's repository has at a ref. */
const stored = async (ref: string): Promise<string> =>
  (await copy.git('ls-remote', 'heroku', ref)).stdout.split('\t')[0] ?? ''

test('a push deploys the commit that was pushed, and shows the output', async () => {
  const commit = (await copy.git('rev-parse', 'HEAD')).stdout.trim()
  const tree = (await copy.git('rev-parse', 'HEAD^{tree}')).stdout.trim()
  const { code, stderr } = await copy.git('push', 'heroku', 'main')
  assert.is(code, 0, stderr)
  assert.match(stderr, /remote: -----> Deployed/)
  const files = { 'index.js': 'hello', 'lib/deep.js': 'deep' }
  assert.equal(
    rig.deployed.map(({ tar, ...deployed }) => deployed),
    [{ app: 'sample', version: commit, sourceKey: tree, files }],
  )
  assert.is(await stored('refs/heads/main'), commit)
})

test('a token pushes and fetches only if that is what it is for, and a push is on record', async () => {
  const { d } = rig.host
  const { owner_id } = rig.app
  const ask = async (scope: string, service: string) => {
    const made = await rig.host.request('POST', '/oauth/authorizations', { body: { scope: [scope] } })
    const { token } = made.json.access_token
    const authorization = `Basic ${Buffer.from(`x:${token}`).toString('base64')}`
    const url = `http://127.0.0.1:${rig.port}/sample.git/info/refs?service=${service}`
    return (await fetch(url, { headers: { authorization } })).status
  }
  assert.is(await ask('read', 'git-upload-pack'), 200)
  assert.is(await ask('read', 'git-receive-pack'), 403)
  assert.is(await ask('write', 'git-receive-pack'), 200)
  assert.is(await ask('identity', 'git-upload-pack'), 403)
  await copy.git('push', 'heroku', 'main')
  const commit = (await copy.git('rev-parse', 'HEAD')).stdout.slice(0, 8)
  const rows = await d.db.selectFrom('activities').selectAll().where('app_id', '=', rig.app.id).execute()
  const push = rows.find(({ text }) => text === `Pushed ${commit}`)
  assert.equal([push?.account_id, typeof push?.origin], [owner_id, 'string'])
})

test('a target that is no URL does no harm, and asks for no token', async () => {
  const answer = await fetch(`http://127.0.0.1:${rig.port}//`)
  assert.is(answer.status, 200)
  assert.is((await copy.git('push', 'heroku', 'main')).code, 0)
})

test('a refused deploy refuses the push: its reason is shown, the branch does not move, the next push works', async () => {
  rig.behave(async ({ output }) => {
    output(' !     No Procfile\n')
    throw refused('No Procfile')
  })
  const { code, stderr } = await copy.git('push', 'heroku', 'main')
  assert.is(code, 1)
  assert.match(stderr, /remote: {2}! {5}No Procfile/)
  assert.match(stderr, /remote: Verifying deploy\.\.\. *\nremote: *\nremote: !\tPush rejected to sample\./)
  assert.match(stderr, /\[remote rejected\] main -> main \(pre-receive hook declined\)/)
  assert.is(await stored('refs/heads/main'), '')
  rig.behave(async () => {})
  assert.is((await copy.git('push', 'heroku', 'main')).code, 0)
})

test('a disk that is full when a push begins is told as such', async () => {
  const full = Object.assign(new Error('SQLITE_FULL: database or disk is full'), { code: 'SQLITE_FULL' })
  rig.behave(() => Promise.reject(full))
  const { code, stderr } = await copy.git('push', 'heroku', 'main')
  assert.is(code, 1)
  assert.match(stderr, /The disk of this host is full/)
})

test('a fault of the platform refuses the push without telling secrets', async () => {
  rig.behave(() => Promise.reject(new Error('SQLITE_CORRUPT at secret')))
  const { code, stderr } = await copy.git('push', 'heroku', 'main')
  assert.is(code, 1)
  assert.match(stderr, /Something went wrong on the platform/)
  assert.not.match(stderr, /SQLITE/)
  assert.match(rig.host.logged.join(''), /SQLITE_CORRUPT/)
})

test('output is shown while the deploy runs', async () => {
  let go = (): void => {}
  rig.behave(async ({ output }) => {
    output('first\n')
    await new Promise<void>((resolve) => {
      go = resolve
    })
    output('second\n')
  })
  const push = copy.git('push', 'heroku', 'main')
  await new Promise<void>((resolve) =>
    push.child.stderr?.on('data', () => push.sofar().includes('remote: first') && resolve()),
  )
  assert.not.match(push.sofar(), /second/)
  go()
  assert.match((await push).stderr, /remote: second/)
})

test('master deploys as main does, and a clone checks it out', async () => {
  await copy.git('push', 'heroku', 'main:master')
  assert.is(rig.deployed.length, 1)
  const other = await rig.copy()
  const { code, stderr } = await other.git('clone', '-q', rig.url, 'cloned')
  assert.is(code, 0, stderr)
  assert.is(await readFile(join(other.path, 'cloned', 'index.js'), 'utf8'), 'hello')
})

test('both main and master in one push are refused, and nothing is deployed', async () => {
  const { code, stderr } = await copy.git('push', 'heroku', 'main', 'main:master')
  assert.is(code, 1)
  assert.match(stderr, /not both/)
  assert.is(rig.deployed.length, 0)
})

test('other branches and tags are stored and not deployed; branches are told so', async () => {
  await copy.git('tag', 'v1')
  const branch = await copy.git('push', 'heroku', 'main:topic')
  assert.match(branch.stderr, /remote: Pushed to branch other than \[main, master\], skipping build\./)
  const tag = await copy.git('push', 'heroku', 'v1')
  assert.is(tag.code, 0)
  assert.not.match(tag.stderr, /remote:/)
  assert.is(rig.deployed.length, 0)
  assert.is((await stored('refs/heads/topic')).length, 40)
  assert.is((await copy.git('push', 'heroku', ':topic')).code, 0)
})

test('the branch that is deployed cannot be deleted', async () => {
  await copy.git('push', 'heroku', 'main')
  const { code, stderr } = await copy.git('push', 'heroku', ':main')
  assert.is(code, 1)
  assert.match(stderr, /cannot be deleted/)
  assert.is((await stored('refs/heads/main')).length, 40)
})

test('what git would refuse only after its hook, when the code is live, is refused before', async () => {
  const below = await copy.git('push', 'heroku', 'main:main/topic')
  assert.is(below.code, 1)
  assert.match(below.stderr, /main\/topic would be in the way of the branch that is deployed/)
  const atomic = await copy.git('push', '--atomic', 'heroku', 'main', 'main:topic')
  assert.match(atomic.stderr, /does not support --atomic push/)
  assert.is(rig.deployed.length, 0)
  assert.is((await copy.git('push', 'heroku', 'main')).code, 0)
})

test('an empty commit deploys again; the same commit does not', async () => {
  await copy.git('push', 'heroku', 'main')
  assert.match((await copy.git('push', 'heroku', 'main')).stderr, /Everything up-to-date/)
  await copy.commit({})
  await copy.git('push', 'heroku', 'main')
  assert.is(rig.deployed.length, 2)
  assert.is(rig.deployed[0]?.sourceKey, rig.deployed[1]?.sourceKey)
})

test('a rewritten history needs --force, and deploys with it', async () => {
  await copy.commit({ 'index.js': 'two' })
  await copy.git('push', 'heroku', 'main')
  await copy.git('reset', '-q', '--hard', 'HEAD^')
  await copy.commit({ 'index.js': 'three' })
  assert.is((await copy.git('push', 'heroku', 'main')).code, 1)
  assert.is(rig.deployed.length, 1)
  assert.is((await copy.git('push', '--force', 'heroku', 'main')).code, 0)
  assert.is(rig.deployed[1]?.files['index.js'], 'three')
})

test('30 MB arrive whole', async () => {
  const bytes = randomBytes(30 * 1024 * 1024)
  await writeFile(join(copy.path, 'big'), bytes)
  await copy.commit({})
  const { code, stderr } = await copy.git('push', 'heroku', 'main')
  assert.is(code, 0, stderr)
  assert.ok(Buffer.from(rig.deployed[0]?.files.big ?? '', 'latin1').equals(bytes))
})

test('a compressed request is understood', async () => {
  for (let n = 0; n < 120; n++) await copy.git('tag', `tag-with-a-rather-long-name-${n}`)
  await copy.git('push', 'heroku', 'main')
  // With so many names git compresses its list of wants.
  const other = await rig.copy()
  await copy.git('push', 'heroku', '--tags')
  const { code, stderr } = await other.git('-c', 'protocol.version=0', 'clone', '-q', rig.url, 'cloned')
  assert.is(code, 0, stderr)
  assert.is((await other.git('-C', 'cloned', 'tag')).stdout.trim().split('\n').length, 120)
})

test('clone and fetch work, in both versions of the protocol', async () => {
  await copy.git('push', 'heroku', 'main')
  const other = await rig.copy()
  for (const version of ['0', '2']) {
    const { code, stderr } = await other.git('-c', `protocol.version=${version}`, 'clone', '-q', rig.url, `v${version}`)
    assert.is(code, 0, stderr)
    assert.is(await readFile(join(other.path, `v${version}`, 'lib/deep.js'), 'utf8'), 'deep')
  }
  const commit = await copy.commit({ 'index.js': 'new' })
  await copy.git('push', 'heroku', 'main')
  await other.git('-C', 'v2', 'fetch', '-q')
  assert.is((await other.git('-C', 'v2', 'rev-parse', 'origin/main')).stdout.trim(), commit)
})

test('an app that nobody has pushed to is an empty clone', async () => {
  const { code, stderr } = await copy.git('clone', rig.url, 'cloned')
  assert.is(code, 0)
  assert.match(stderr, /empty repository/)
})

test('plain HTTP works on the same port', async () => {
  const url = `http://heroku:${rig.host.token}@localhost:${rig.port}/sample.git`
  const { code, stderr } = await copy.git('push', url, 'main')
  assert.is(code, 0, stderr)
})

test('a wrong token is refused, and no token is asked for', async () => {
  const wrong = await copy.git('push', `http://heroku:wrong@localhost:${rig.port}/sample.git`, 'main')
  assert.is(wrong.code, 128)
  assert.match(wrong.stderr, /Authentication failed/)
  const none = await fetch(`http://localhost:${rig.port}/sample.git/info/refs?service=git-receive-pack`)
  assert.is(none.status, 401)
  assert.match(none.headers.get('www-authenticate') ?? '', /^Basic realm=/)
})

test('an app that is not there, or is not mine, says so', async () => {
  const missing = await copy.git('push', rig.url.replace('sample', 'nothing'), 'main')
  assert.is(missing.code, 128)
  assert.match(missing.stderr, /Couldn't find that app/)
  const { token } = await rig.host.invite('stranger@example.com')
  const foreign = await copy.git('push', `http://x:${token}@localhost:${rig.port}/sample.git`, 'main')
  assert.match(foreign.stderr, /Couldn't find that app/)
  assert.is(rig.deployed.length, 0)
})

test('who only sees a team app neither pushes nor fetches; who joined it does both', async () => {
  const { d } = rig.host
  const { account, token } = await rig.host.invite('member@example.com')
  const made = await rig.host.request('POST', '/teams/apps', { body: { name: 'shared' } })
  assert.is(made.status, 201)
  const url = `http://x:${token}@localhost:${rig.port}/shared.git`
  for (const command of ['push', 'fetch']) {
    const refusal = await copy.git(command, url, 'main')
    assert.is(refusal.code, 128)
    assert.match(refusal.stderr, '403')
  }
  assert.is(rig.deployed.length, 0)
  await addCollaborator(d, await findApp(d.db, account, 'shared'), account, { user: account.email })
  assert.is((await copy.git('push', url, 'main')).code, 0)
  assert.is((await copy.git('fetch', url, 'main')).code, 0)
  assert.is(rig.deployed.length, 1)
})

test('two first pushes at once make one repository', async () => {
  const other = await rig.copy()
  await other.git('remote', 'add', 'heroku', rig.url)
  const both = await Promise.all([copy.git('push', 'heroku', 'main:a'), other.git('push', 'heroku', 'main:b')])
  assert.equal(
    both.map(({ code }) => code),
    [0, 0],
  )
  assert.is((await copy.git('ls-remote', 'heroku')).stdout.trim().split('\n').length, 2)
})

test('the repository of a destroyed app is gone, also when there is none', async () => {
  await copy.git('push', 'heroku', 'main')
  await removeRepository(rig.host.d, rig.app.id)
  await removeRepository(rig.host.d, rig.app.id)
  assert.is(await stored('refs/heads/main'), '')
})

test('request targets that are no URLs are answered like any other, and git goes on', async () => {
  for (const target of ['//', 'http://[', '/%', '/a.git/info/refs?service=%']) {
    const socket = connect(Number(new URL(rig.url).port), '127.0.0.1')
    socket.end(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    let answer = ''
    for await (const chunk of socket) answer += chunk
    assert.match(answer, /^HTTP\/1\.1 [2-5]\d\d /, target)
  }
  const copy = await rig.copy()
  assert.is((await copy.git('ls-remote', rig.url)).code, 0)
})

test.run()
