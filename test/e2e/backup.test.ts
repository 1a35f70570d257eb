import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { connect } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { make } from '../integration/chains.ts'
import { run } from './command.ts'
import { dockerApp } from './docker-app.ts'
import { removeInstallation } from './installation.ts'
import { startPlatform } from './platform.ts'
import type { Source } from './source.ts'
import { waitFor } from './wait.ts'
import { whole } from './whole.ts'

/** A platform is backed up while it works, lost with all that the engine has of it, and restored. */
const platform = await startPlatform()
const folder = await mkdtemp(join(tmpdir(), 'sluice-backup-'))
test.after(async () => {
  await platform.stop()
  await rm(folder, { recursive: true })
})
const { api, ports, data } = platform
const file = join(folder, 'platform.tar.zst')

const main = resolve(import.meta.dirname, '..', '..', 'cli', 'main.js')
const env = { ...process.env, SLUICE_DATA: data, SLUICE_PORT: String(ports.api), NO_COLOR: '1' }
async function sluice(...args: string[]): Promise<string> {
  const { code, output, stdout } = await run([process.execPath, main, ...args], { env })
  assert.is(code, 0, output)
  return stdout
}

const HOST = 'www.shop.example'
const config = { GREETING: 'grüß "Gott"\n', PLAIN: '1' }

async function shown(): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: ports.tls, servername: HOST, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

async function pushed(source: Source, app: string): Promise<string> {
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
  return output
}

/** What must be the same afterwards. */
const described = async (app: string) => ({
  config: await api('GET', `/apps/${app}/config-vars`),
  domains: await api<{ hostname: string }[]>('GET', `/apps/${app}/domains`),
  formation: await api<{ type: string; quantity: number }[]>('GET', `/apps/${app}/formation`),
})

test('all apps run on an empty host again, with releases, config, domains, repositories and images', async () => {
  const shop = await platform.deploy('shop')
  await shop.version('v2')
  await pushed(shop, 'shop')
  await api('PATCH', '/apps/shop/config-vars', config)
  const { cert, key } = await make({ subject: 'CN=of the shop', names: [HOST] })
  const body = { certificate_chain: cert, private_key: key }
  const { name } = await api<{ name: string }>('POST', '/apps/shop/sni-endpoints', body)
  await api('POST', '/apps/shop/domains', { hostname: HOST, sni_endpoint: name })
  await api('POST', '/apps', { name: 'boxed', stack: 'container' })
  const boxed = await platform.createSource(dockerApp('boxed-1'))
  await pushed(boxed, 'boxed')
  await platform.settled('shop', 4)
  const before = [await described('shop'), await described('boxed')]

  await shop.version('v3')
  const [made] = await Promise.all([sluice('backup', file, '--json'), pushed(shop, 'shop')])
  assert.is((await stat(file)).size, JSON.parse(made).size)
  assert.is((await stat(file)).mode & 0o777, 0o600)
  assert.match(await sluice('backups'), /^name +size +encrypted\nsluice-\d+T\d+Z\.tar\.zst .* no\n/)

  await Promise.all([platform.router.kill('SIGKILL'), platform.daemon.kill('SIGKILL')])
  const installation = await readFile(join(data, 'installation'), 'utf8')
  await removeInstallation(installation)
  await rm(data, { recursive: true })
  await mkdir(data)

  assert.match(await sluice('backup', '--verify', file), /is whole: 2 apps, /)
  assert.match(await sluice('restore', file), /^Restored into .*: 2 apps, .* 1 images\.\n/)
  assert.is(await readFile(join(data, 'installation'), 'utf8'), installation)
  await platform.startDaemon()
  platform.router.start()
  await waitFor('the apps to answer', async () => {
    const [one, other] = await Promise.all([platform.request('shop'), platform.request('boxed')])
    return one.status === 200 && other.status === 200
  })
  assert.equal([await described('shop'), await described('boxed')], before)
  assert.is((await platform.request('boxed')).body, 'boxed-1\n')
  // The push came before the backup, or did not, or its release was just on its way and has failed.
  const releases = await waitFor('every release to be settled', async () => {
    const all = await platform.releases('shop')
    return all.every(({ status }) => status !== 'pending') && all
  })
  const serving = releases.find(({ current }) => current)?.version ?? 0
  const newest = Math.max(...releases.map(({ version }) => version))
  assert.ok([4, 5].includes(serving), `v${serving}`)
  assert.is((await platform.request('shop')).body, serving === 4 ? 'v2 web.1\n' : 'v3 web.1\n')
  assert.is(await shown(), 'of the shop')

  const clone = join(folder, 'clone')
  assert.is((await platform.git(folder, 'clone', '--quiet', `https://localhost:${ports.api}/shop.git`, clone)).code, 0)
  assert.match((await platform.git(clone, 'log', '--oneline')).stdout, /\n.*\n/)
  await api('POST', '/apps/shop/releases', { release: 'v2' })
  await platform.settled('shop', newest + 1)
  assert.is((await platform.request('shop')).body, 'v1 web.1\n')
  await shop.version('v4')
  await pushed(shop, 'shop')
  assert.is((await platform.request('shop')).body, 'v4 web.1\n')
  await whole(platform)
})

test.run()
