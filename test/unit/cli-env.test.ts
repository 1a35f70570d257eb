import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const root = resolve(import.meta.dirname, '..', '..', '..')
const TOKEN = "SLUICE-it's a $(touch /nowhere) `token`"

const test = suite<{ data: string; env: Record<string, string> }>('env')

test.before.each((context) => {
  context.data = mkdtempSync(join(tmpdir(), "sluice env's-"))
  mkdirSync(join(context.data, 'tls'))
  writeFileSync(join(context.data, 'tls', 'ca.pem'), 'OURS\n')
  writeFileSync(join(context.data, 'admin.token'), `${TOKEN}\n`)
  context.env = { PATH: process.env.PATH ?? '', HOME: context.data, SLUICE_DATA: context.data, SLUICE_PORT: '5999' }
})
test.after.each(({ data }) => rmSync(data, { recursive: true }))

const run = (shell: string, env: Record<string, string>, script: string): string => {
  const line = `eval "$("$NODE" "$MAIN" env)"\n${script}`
  const extra = { NODE: process.execPath, MAIN: join(root, 'dist/cli/main.js') }
  return execFileSync(shell, ['-ec', line], { env: { ...env, ...extra }, encoding: 'utf8' })
}

for (const shell of ['bash', 'sh'])
  test(`${shell} takes the exports as they are printed`, ({ env }) => {
    const printed = run(shell, env, 'echo "$HEROKU_HOST"; echo "$HEROKU_API_KEY"; echo "$HEROKU_EXEC_URL"')
    assert.equal(printed.split('\n'), ['http://localhost:5999', TOKEN, 'https://localhost:5999/', ''])
  })

test('no variable leaves a host of the CLI where it was', ({ env }) => {
  const printed = run('sh', env, 'env')
  for (const name of ['HOST', 'PARTICLEBOARD_URL', 'LOGIN_HOST', 'DATA_HOST', 'BUILDPACK_REGISTRY_URL', 'STATUS_HOST'])
    assert.match(printed, new RegExp(`^HEROKU_${name}=.*localhost`, 'm'))
  assert.match(printed, /^DISABLE_TELEMETRY=true$/m)
})

test('git asks nobody for the password and trusts the authority', ({ env, data }) => {
  const fill =
    "printf 'protocol=https\\nhost=localhost:5999\\n\\n' | git credential fill; git config --get-urlmatch http.sslCAInfo https://localhost:5999/app.git"
  const printed = run('sh', { ...env, GIT_TERMINAL_PROMPT: '0' }, fill)
  assert.ok(printed.includes(`password=${TOKEN}\n`), printed)
  assert.ok(printed.endsWith(`${join(data, 'tls', 'ca.pem')}\n`), printed)
})

test("authorities that the caller's environment adds stay in force", ({ env, data }) => {
  const theirs = join(data, 'theirs.pem')
  writeFileSync(theirs, 'THEIRS\n')
  const outer = { ...env, NODE_EXTRA_CA_CERTS: theirs, GIT_SSL_CAINFO: theirs }
  const twice = 'eval "$("$NODE" "$MAIN" env)"; echo "$NODE_EXTRA_CA_CERTS"; echo "$GIT_SSL_CAINFO"'
  const bundle = join(data, 'tls', 'bundle.pem')
  assert.equal(run('sh', outer, twice).split('\n'), [bundle, bundle, ''])
  const text = readFileSync(bundle, 'utf8')
  assert.is(text.split('OURS').length, 2)
  assert.is(text.split('THEIRS').length, 2)
})

test("the caller's own git settings by environment stay, and taken twice the exports don't grow", ({ env }) => {
  const outer = { ...env, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'user.name', GIT_CONFIG_VALUE_0: 'A B' }
  const script = 'eval "$("$NODE" "$MAIN" env)"; git config user.name; echo $GIT_CONFIG_COUNT; echo "$PATH"'
  const [name, count, path = ''] = run('sh', outer, script).split('\n')
  assert.equal([name, count], ['A B', '3'])
  assert.is(path.split(join(root, 'node_modules', '.bin')).length, 2)
})

test('before the first start there is a sentence and no export', ({ env, data }) => {
  rmSync(join(data, 'admin.token'))
  const script = '"$NODE" "$MAIN" env 2>&1 || echo "status $?"'
  assert.match(run('sh', env, script), /There is no token below .* Start the platform first: npm start\.\nstatus 1/)
})

test.run()
