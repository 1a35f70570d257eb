import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { bytes } from '../../cli/disk.ts'
import { startHost } from '../api/host.ts'
import { execute, main, startPerson } from './sluice.ts'

/** What Heroku has no word for, and what ties a folder to an app, against the API over a real database. */
const host = await startHost()
const person = await startPerson({ NO_COLOR: '1', GIT_TERMINAL_PROMPT: '0' }, 'repository')
test.after(async () => {
  await person.close()
  await host.close()
})
const repository = join(person.home, 'repository')
await mkdir(repository)
const git = async (...args: string[]) =>
  (await execute(['git', ...args], { env: person.env, cwd: repository })).out.trim()
await git('init', '--quiet')
await person.sluice(['login', host.url, '--token'], { input: host.token })
/** One that must succeed: what it printed. */
const sluice = async (...args: string[]) => {
  const { code, out, err } = await person.warm(args)
  assert.is(code, 0, `sluice ${args.join(' ')}\n${out}${err}`)
  return `${out}${err}`
}
const refused = async (...args: string[]) => {
  const { code, err } = await person.warm(args)
  assert.is.not(code, 0)
  return err
}
for (const name of ['shop', 'shop-staging']) await host.request('POST', '/apps', { body: { name } })

test('git:remote ties a folder to an app, by its name or a flag, and moves what is tied already', async () => {
  const url = `https://${new URL(host.url).host}/shop.git`
  assert.is(await sluice('git:remote', '-a', 'shop'), `set git remote heroku to ${url}\n`)
  assert.is(await git('remote', 'get-url', 'heroku'), url)
  assert.match(await sluice('git:remote', 'shop-staging', '-r', 'staging'), /^set git remote staging to /)
  assert.match(await sluice('git:remote', '-a', 'shop-staging'), /^set git remote heroku to .*\/shop-staging\.git\n$/)
  await sluice('git:remote', '-a', 'shop')
  assert.match(await refused('git:remote'), /Specify an app with --app/)
  assert.match(await refused('git:remote', '-a', 'nothing'), /Couldn't find that app/)
  assert.match(await refused('git:remote', '-a', 'shop', '-r', '--upload-pack=x'), /is no name of a remote/)
})

test('the app is that of --remote, of the folder, or named when there are several', async () => {
  assert.match(await sluice('open', '-r', 'staging', '/a?b'), /^http:\/\/shop-staging\..*\/a\?b\n$/)
  assert.match(await refused('open'), /Multiple apps in git remotes\n › {5}Usage: --remote staging/)
  await git('config', 'heroku.remote', 'heroku')
  assert.match(await sluice('open'), /^http:\/\/shop\./)
  assert.match(await refused('open', '-r', 'nothing'), /remote nothing not found in git remotes/)
})

test('git:credentials answers git, and nobody who asks for another host or without TLS', async () => {
  const ask = (input: string) => person.sluice(['git:credentials', 'get'], { input })
  const { host: name } = new URL(host.url)
  assert.is(
    (await ask(`protocol=https\nhost=${name}\n\n`)).out,
    `protocol=https\nhost=${name}\nusername=heroku\npassword=${host.token}\n`,
  )
  for (const other of [`protocol=http\nhost=${name}\n`, 'protocol=https\nhost=github.com\n', ''])
    assert.equal(await ask(other), { code: 0, out: '', err: '' })
  assert.is((await person.sluice(['git:credentials', 'store'], { input: 'password=x\n' })).out, '')
  assert.match(await refused('git:credentials', 'steal'), /unknown command: steal/)
})

test('users are listed, invited, given roles and removed', async () => {
  const printed = await sluice('users:invite', 'ann@example.com')
  assert.match(printed, /^Inviting ann@example\.com as member\.\.\. done\n/m)
  const [link = ''] = /http:\S+\/invitations\/\S+/.exec(printed.replace(/\n › +/g, ' ')) ?? []
  assert.match(await sluice('users'), /^ann@example\.com +member +invited .* by admin@example\.com$/m)
  await host.request('POST', new URL(link).pathname, {
    token: null,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      name: 'Ann',
      password: 'correct horse battery',
      again: 'correct horse battery',
    }).toString(),
  })
  assert.match(
    await sluice('users:role', 'ann@example.com', 'admin'),
    /Making ann@example\.com an administrator\.\.\. done/,
  )
  assert.match(await sluice('users'), /^ann@example\.com +admin +Ann +since /m)
  assert.match(await sluice('users:reset-password', 'ann@example.com'), /\/invitations\//)
  assert.match(await refused('users:role', 'ann@example.com', 'king'), /Expected king to be one of: admin, member/)
  assert.match(await refused('users:remove', 'ann@example.com'), /Say yes by --confirm ann@example\.com/)
  assert.match(
    await refused('users:remove', 'ann@example.com', '-c', 'bob'),
    /bob is not ann@example\.com\. Nothing was changed/,
  )
  assert.match(await sluice('users:remove', 'ann@example.com', '-c', 'ann@example.com'), /Removing .*\.\.\. done/)
  await sluice('users:invite', 'bob@example.com')
  assert.match(
    await sluice('users:role', 'bob@example.com', 'admin'),
    /an administrator\.\.\. done[\s\S]*\/invitations\//,
  )
  assert.match(await sluice('users'), /^bob@example\.com +admin +invited /m)
  await sluice('users:remove', 'bob@example.com', '-c', 'bob@example.com')
  const { users, invitations } = JSON.parse(await sluice('users', '--json'))
  assert.equal([users.map(({ email }: { email: string }) => email), invitations], [['admin@example.com'], []])
})

test('config:edit that is ended leaves no config vars behind in a file, and changes nothing', async () => {
  await sluice('config:set', 'SECRET=of-mine', '-a', 'shop')
  const editor = join(person.home, 'editor')
  await writeFile(editor, '#!/bin/sh\ncat "$1"; echo begun; exec sleep 1000\n', { mode: 0o755 })
  for (const [signal, ending] of [
    ['SIGTERM', [null, 'SIGTERM']],
    ['SIGINT', [130, null]],
  ] as const) {
    const folder = await mkdtemp(join(person.home, 'tmp-'))
    const env = { ...person.env, EDITOR: editor, TMPDIR: folder }
    const child = spawn(process.execPath, [main, 'config:edit', '-a', 'shop', '--confirm', 'shop'], {
      ...{ env, cwd: person.home, detached: true, stdio: ['ignore', 'pipe', 'ignore'] as const },
    })
    const ended = once(child, 'exit')
    for await (const text of child.stdout) if (String(text).includes('begun')) break
    assert.is((await readdir(folder)).length, 1)
    // Ctrl-C goes to whatever is at the terminal
    process.kill(signal === 'SIGINT' ? -(child.pid ?? 0) : (child.pid ?? 0), signal)
    assert.equal(await ended, ending, signal)
    assert.equal(await readdir(folder), [], signal)
    await execute(['sh', '-c', `kill -KILL -${child.pid} 2>/dev/null`], {})
  }
  assert.is(await sluice('config:get', 'SECRET', '-a', 'shop'), 'of-mine\n')
})

test('nodes shows the machine, to administrators', async () => {
  assert.match(
    await sluice('nodes'),
    /^host +engine +cores +memory +free +dynos +up since\n\S+ +does not answer +\d+ +\d+\.\d GB/,
  )
  const [node] = JSON.parse(await sluice('nodes', '--json'))
  assert.ok(node.memory >= node.memory_available && node.memory_available > 0)
  const { token } = await host.invite('eve@example.com')
  const env = { SLUICE_API_URL: host.url, SLUICE_API_KEY: token }
  assert.match((await person.sluice(['nodes'], { env })).err, /Only an administrator[\s\S]*Error ID: forbidden/)
})

test('status, nodes and disk call the same size the same: memory as SLUICE_MEMORY has it, disk as SLUICE_DISK', async () => {
  const [node] = JSON.parse(await sluice('nodes', '--json'))
  const memory = `${(node.memory / 1024 ** 3).toFixed(1)} GB`
  assert.match(await sluice('nodes'), new RegExp(`does not answer +\\d+ +${memory} `))
  const status = await sluice('status')
  assert.match(status, new RegExp(`^Memory .* of ${memory} free, \\d+ MB for the daemon$`, 'm'))
  const [disk] = JSON.parse(await sluice('status', '--json')).file_systems
  assert.match(status, new RegExp(`^Disk \\(data\\) .* of ${bytes(disk.size)} free`, 'm'))
  assert.match(await sluice('disk'), new RegExp(` of ${bytes(disk.size)} in use`))
})

test('set-up of git that is there already leaves its file alone', async () => {
  const file = join(person.home, '.gitconfig')
  const before = await readFile(file, 'utf8')
  await writeFile(file, before)
  await sluice('git:remote', '-a', 'shop')
  assert.is(await readFile(file, 'utf8'), before)
})

test.run()
