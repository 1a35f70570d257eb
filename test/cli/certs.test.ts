import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../daemon/config.ts'
import { openTerminal } from '../e2e/terminal.ts'
import { make } from '../integration/chains.ts'
import { startRig } from './rig.ts'

const rig = await startRig()
const { heroku, refused, execute, host, home } = rig
test.after(() => rig.close())

const api = async (method: string, path: string, body?: object) =>
  (await host.request(method, `/apps/demo${path}`, body ? { body } : {})).json

async function write(name: string, names: string[]): Promise<void> {
  const { cert, key } = await make({ names })
  await writeFile(join(home, `${name}.crt`), cert)
  await writeFile(join(home, `${name}.key`), key)
}

test.before(async () => {
  await host.request('POST', '/apps', { body: { name: 'demo' } })
  await write('first', ['www.example.com', 'example.com'])
  await write('second', ['www.example.com'])
})

let name = ''

test('heroku certs:add adds a certificate; certs and certs:info show it', async () => {
  assert.match(await heroku('certs -a demo'), 'has no SSL certificates')
  const added = await heroku('certs:add first.crt first.key -a demo')
  assert.match(added, 'Adding SSL certificate to demo... done')
  assert.match(added, /Common Name\(s\): www\.example\.com\s+example\.com/)
  assert.match(added, 'SSL certificate is self signed.')
  name = (await api('GET', '/sni-endpoints'))[0].name
  assert.match(await heroku('certs -a demo'), new RegExp(`${name} +www.example.com, example.com .* False +SNI +0`))
  assert.match(await refused('certs:add first.crt second.key -a demo'), "Key doesn't match the PEM certificate.")
})

test('heroku domains:add binds a domain, domains:update another; certs:info shows them', async () => {
  assert.match(await heroku(`domains:add www.example.com --cert ${name} -a demo`), 'DNS Target demo.localhost')
  assert.match(await heroku('domains:add example.com --wait -a demo'), 'DNS Target demo.localhost')
  assert.match(await heroku(`domains:update example.com --cert ${name} -a demo`), `to use ${name} certificate... done`)
  assert.match(await heroku('domains -a demo'), new RegExp(`example\\.com +ALIAS or ANAME +demo\\.localhost +${name}`))
  assert.match(await heroku('domains:info example.com -a demo'), /hostname: +example\.com/)
  assert.match(await heroku('domains:wait example.com -a demo'), 'Waiting for example.com... done')
  const info = await heroku(`certs:info --name ${name} --show-domains -a demo`)
  assert.match(info, /Domain\(s\): +example\.com\s+www\.example\.com/)
})

test('heroku certs:update replaces certificate and key, by the name of a domain', async () => {
  const updated = await heroku('certs:update second.crt second.key --endpoint www.example.com -a demo --confirm demo')
  assert.match(updated, `Updating SSL certificate ${name} for demo... done`)
  assert.match(updated, /Updated certificate details:\s+Common Name\(s\): www\.example\.com/)
  const [{ ssl_cert }] = await api('GET', '/sni-endpoints')
  assert.equal(ssl_cert.cert_domains, ['www.example.com'])
})

test('heroku certs:generate makes a key and a certificate that certs:add takes', async () => {
  const said = await heroku('certs:generate shop.example.com --selfsigned --now -a demo')
  assert.match(said, 'heroku certs:add shop.example.com.crt shop.example.com.key')
  const [certificate_chain, private_key] = await Promise.all(
    ['crt', 'key'].map((end) => readFile(join(home, `shop.example.com.${end}`), 'utf8')),
  )
  const { ssl_cert } = await api('POST', '/sni-endpoints', { certificate_chain, private_key })
  assert.equal([ssl_cert.cert_domains, ssl_cert['self_signed?']], [['shop.example.com'], true])
})

test('at a terminal heroku certs:add asks which domains get the certificate', async () => {
  const set = (await execute('env', [])).out.trim().split('\n')
  const env = Object.fromEntries(set.map((line) => line.split(/=(.*)/s).slice(0, 2)))
  const cli = join(packageRoot, 'node_modules', 'heroku', 'bin', 'run.js')
  const terminal = await openTerminal(env, { cli, cwd: home })
  try {
    await terminal.enter('heroku certs:add first.crt first.key -a demo')
    await terminal.shows(/Select domains/)
    await terminal.press('Space', 'Enter')
    await terminal.shows(/here>\s*$/)
  } finally {
    await terminal.close()
  }
  const { sni_endpoint } = await api('GET', '/domains/www.example.com')
  assert.is.not(sni_endpoint.name, name)
  assert.is((await api('GET', '/domains/example.com')).sni_endpoint.name, name)
})

test('heroku certs:remove and domains:clear remove; domains:remove removes one', async () => {
  const removed = await heroku(`certs:remove --name ${name} -a demo --confirm demo`)
  assert.match(removed, `Removing SSL certificate ${name} from demo... done`)
  assert.is((await api('GET', '/domains/example.com')).sni_endpoint, null)
  assert.match(await heroku('domains:remove example.com -a demo'), 'Removing example.com from demo... done')
  assert.match(await heroku('domains:clear -a demo'), 'Removing all domains from demo... done')
  assert.is((await api('GET', '/domains')).length, 1)
})

test('where no authority was chosen heroku certs:auto says that it is disabled; to enable it is refused in words', async () => {
  assert.match(await heroku('certs:auto -a demo'), 'Automatic Certificate Management is disabled on demo')
  assert.match(
    await refused('certs:auto:enable -a demo'),
    /asks no public authority for certificates.*SLUICE_ACME_DIRECTORY/,
  )
  assert.match(await refused('certs:auto:refresh -a demo'), 'is not available here')
  assert.match(
    await heroku('certs:auto:disable -a demo --confirm demo'),
    'Disabling Automatic Certificate Management... done',
  )
})

test.run()
