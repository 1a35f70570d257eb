import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startHost } from '../api/host.ts'
import { openTerminal } from '../e2e/terminal.ts'
import { execute, main, startPerson } from './sluice.ts'

/** Command lines completed by the shells themselves, with a platform that has apps. */
const host = await startHost()
for (const name of ['shop', 'shop-staging', 'blog']) await host.request('POST', '/apps', { body: { name } })
const person = await startPerson({ SLUICE_API_URL: host.url, SLUICE_API_KEY: host.token })
const bin = join(person.home, 'bin')
await mkdir(bin)
await writeFile(join(bin, 'sluice'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, { mode: 0o755 })
const env = { ...person.env, PATH: `${bin}:${person.env.PATH}`, NO_COLOR: '1' }
const terminal = await openTerminal(env, { cli: main, cwd: person.home, columns: 120 })
test.after(async () => {
  await terminal.close()
  await person.close()
  await host.close()
})

/** What may stand at the end of a line: the words alone. */
const complete = async (line: string, more?: Record<string, string>) => {
  const words = ['completion:words', '--line', line]
  const { code, out, err } = await (more ? person.sluice(words, { env: more }) : person.warm(words))
  assert.equal([code, err], [0, ''])
  return out
    .split('\n')
    .filter(Boolean)
    .map((found) => found.split('\t')[0])
}

test('commands, flags, choices and apps are completed, where each may stand', async () => {
  assert.equal(await complete('sluice users:r'), ['users:role', 'users:remove', 'users:reset-password'])
  assert.equal(await complete('FOO=1 /usr/bin/sluice users ro'), ['role'])
  assert.equal(await complete('sluice gc --s'), ['--slugs'])
  assert.equal(await complete('sluice users:invite -r '), ['admin', 'member'])
  assert.equal(await complete('sluice users:role ann@example.com a'), ['admin'])
  assert.equal(await complete('sluice open -a sh'), ['shop', 'shop-staging'])
  assert.equal(await complete('sluice open --app=b'), ['--app=blog'])
  assert.equal(await complete('sluice disk '), ['blog', 'shop', 'shop-staging'])
  assert.equal(await complete('sluice git:remote -a shop -- --'), [])
  assert.equal(await complete('sluice nothing '), [])
})

test('names of apps are asked for once a minute, kept by platform, and never from one that is silent', async () => {
  const file = join(person.home, '.cache', 'sluice', 'apps.json')
  assert.is((await stat(file)).mode & 0o777, 0o600)
  await host.request('POST', '/apps', { body: { name: 'young' } })
  assert.equal(await complete('sluice open -a y'), [])
  const cached = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify({ ...cached, at: cached.at - 61_000 }))
  assert.equal(await complete('sluice open -a y'), ['young'])
  assert.equal(await complete('sluice open -a y', { SLUICE_API_URL: 'http://127.0.0.1:1' }), [])
})

test('bash completes by the tabulator key, over colons and equal signs', async () => {
  await terminal.enter('eval "$(sluice completion bash)"; echo taken')
  await terminal.shows(/^taken$/m)
  await terminal.press('sluice users:inv', 'Tab')
  await terminal.shows('sluice users:invite')
  await terminal.press('C-c')
  await terminal.press('sluice users:invite --ro', 'Tab')
  await terminal.shows('sluice users:invite --role')
  await terminal.press('C-c')
  await terminal.press('sluice open --app=shop-', 'Tab')
  await terminal.shows('sluice open --app=shop-staging')
  await terminal.press('C-c')
})

test('zsh completes, with what a command does', async () => {
  await terminal.press('C-c')
  await terminal.clear()
  // what is typed is not what is waited for
  await terminal.enter("PS1='the''re> ' zsh -f")
  await terminal.shows('there>')
  await terminal.enter('autoload -Uz compinit && compinit -u -D && eval "$(sluice completion zsh)" && echo taken')
  await terminal.shows(/^taken$/m)
  await terminal.press('sluice users:re', 'Tab')
  await terminal.shows(/users:reset-password +-- print a link/)
  await terminal.press('m', 'Tab')
  await terminal.shows('sluice users:remove')
  await terminal.press('C-c')
  await terminal.enter('exit')
})

test('fish completes, with what a command does', async () => {
  const line = 'sluice completion fish | source; complete -C "sluice users:re"; complete -C "sluice open --app sh"'
  const { out, err } = await execute(['fish', '--no-config', '-c', line], { env, cwd: person.home })
  assert.is(err, '')
  assert.match(out, /^users:remove\tremove an account.*\nusers:reset-password\tprint a link.*\nshop\nshop-staging\n$/)
})

test('a shell that is not known is refused', async () => {
  const { code, err } = await person.sluice(['completion', 'tcsh'])
  assert.equal([code, /Expected tcsh to be one of: bash, zsh, fish/.test(err)], [2, true])
})

test.run()
