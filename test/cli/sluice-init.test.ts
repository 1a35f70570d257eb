import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readConfig } from '../../daemon/config.ts'
import { startPerson } from './sluice.ts'

const person = await startPerson()
test.after(() => person.close())
const file = join(person.home, 'etc', 'sluice.env')
const init = (...args: string[]) => person.sluice(['init', '--file', file, ...args])

test('settings go into a new file, as the daemon reads them, and what comes next is told', async () => {
  const flags = [
    '--domain',
    'Apps.invalid',
    '--api-host',
    'api.invalid',
    '--email',
    'ops@example.com',
    '--acme',
    'letsencrypt',
  ]
  const { code, out } = await init(...flags)
  assert.is(code, 0)
  assert.is((await stat(file)).mode & 0o777, 0o640)
  const settings = Object.fromEntries(
    (await readFile(file, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => line.split('=')),
  )
  const config = readConfig({ ...settings, SLUICE_DATA: person.home })
  assert.equal(
    [config.domain, config.acme?.directory],
    ['apps.invalid', 'https://acme-v02.api.letsencrypt.org/directory'],
  )
  assert.match(
    out,
    /Let \*\.apps\.invalid lead to this host[\s\S]*Let api\.invalid lead[\s\S]*restart sluiced[\s\S]*sluice doctor/,
  )
  assert.match(out, /curl -fsSL https:\/\/api\.invalid\/cli\/install\.sh \| sh && sluice login https:\/\/api\.invalid/)
  assert.not.match(out, 'ca.pem')
  assert.match((await init(...flags)).out, /says so already/)
  assert.match(
    (await init('--acme', 'none')).out,
    /Take \S+\/tls\/ca\.pem to your laptop[\s\S]*curl -fsSL --cacert ca\.pem /,
  )
})

test('what is there already stays, line by line, with its mode', async () => {
  await writeFile(file, '# ours\nSLUICE_DOMAIN="old.example.com"\nSLUICE_MEMORY=8GB\n')
  await chmod(file, 0o600)
  await init('--api-host', 'api.example.com')
  assert.is(
    await readFile(file, 'utf8'),
    '# ours\nSLUICE_DOMAIN=old.example.com\nSLUICE_MEMORY=8GB\nSLUICE_API_HOST=api.example.com\n',
  )
  assert.is((await stat(file)).mode & 0o777, 0o600)
  assert.match((await init('--domain', 'new.example.com', '--print')).out, /^# ours\nSLUICE_DOMAIN=new\.example\.com\n/)
  assert.match(await readFile(file, 'utf8'), 'old.example.com')
})

test('what is no name, address or authority is refused, and nothing is written', async () => {
  const before = await readFile(file, 'utf8')
  for (const [flag, value, says] of [
    ['--domain', 'a b', /a b is no name of a host/],
    ['--domain', 'a\nSLUICE_DATA=/x', /no name of a host/],
    ['--email', 'ops', /ops is no mail address/],
    ['--acme', 'http://ca', /http:\/\/ca is no authority/],
  ] as const) {
    const { code, err } = await init(flag, value)
    assert.is(code, 1)
    assert.match(err.replace(/\n › +/g, ' '), says)
  }
  const unasked = await init()
  assert.match(unasked.err, /no terminal to ask on\. Say it by flags: --domain, --api-host, --email, --acme/)
  assert.is(await readFile(file, 'utf8'), before)
})

test.run()
