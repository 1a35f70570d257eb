import { existsSync, readdirSync, statSync } from 'node:fs'
import { cp, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { requestHost } from '../e2e/client.ts'
import { type Outcome, run } from '../e2e/command.ts'
import { described, things } from '../e2e/installation.ts'
import { type Load, startLoad } from '../e2e/load.ts'
import { waitFor } from '../e2e/wait.ts'
import { artefact, changed, unpacked } from './artefact.ts'
import { type Site, settingsFile, takeSite } from './site.ts'

/** What an operator does with an archive of Sluice on a machine that has no Node.js, in order. */
let site: Site
let archive: string
let release: string

test.before(async () => {
  const made = await artefact()
  site = await takeSite()
  archive = join(site.shelf, 'sluice.tar.gz')
  release = join(site.shelf, 'release')
  for (const more of ['', '.sha256', '.sha256.sig']) await cp(made + more, archive + more)
  await cp(join(dirname(made), 'key.pub'), join(site.shelf, 'key.pub'))
  await unpacked(made, release)
})
test.after(() => site?.leave())

const output = ({ code, output }: Outcome): string => {
  if (code !== 0) throw new Error(`it ended with ${code}:\n${output}`)
  return output
}
const install = (...args: [string, ...string[]]) => site.machine.run(['bash', ...args])
const script = (folder: string): string => join(folder, 'install.sh')
const linkOf = (name: string) => site.machine.must(['readlink', `/opt/sluice/${name}`]).then((text) => text.trim())
const shown = (unit: string, property: string) =>
  site.machine.must(['systemctl', 'show', '-P', property, unit]).then((text) => text.trim())
const version = async (): Promise<string> => (await linkOf('current')).replace('releases/', '')
const body = async (): Promise<string> => (await requestHost(site.ports.http, 'shop.localhost', '/')).body

/** Under load that must not see it. */
async function served<Result>(work: () => Promise<Result>): Promise<Result> {
  const load: Load = startLoad(site.ports.http, 'shop.localhost')
  const result = await work().finally(async () => {
    const { requests, failures } = await load.stop()
    assert.equal(failures.slice(0, 3), [])
    assert.ok(requests > 0)
  })
  return result
}

test('the same files give the same archive: its entries are sorted, of root, of one time, and each is in its manifest', async () => {
  const listed = output(await run(['tar', '--numeric-owner', '--full-time', '-tvzf', archive], { env: process.env }))
  const entries = listed
    .trim()
    .split('\n')
    .map((line) => line.split(/ +/))
  assert.equal(
    [...new Set(entries.map(([, owner, , day, time]) => `${owner} ${day} ${time}`))],
    ['0/0 1980-01-01 00:00:00'],
  )
  const files = entries.filter(([mode]) => mode?.startsWith('-')).map((entry) => entry[5]?.replace(/^[^/]+\//, ''))
  const summed: string[] =
    (await readFile(join(release, 'MANIFEST'), 'utf8')).match(/(?<=^[0-9a-f]{64} {2}).*$/gm) ?? []
  assert.equal(summed, files.filter((path) => path !== 'MANIFEST').sort())
  for (const path of [
    'bin/node',
    'daemon/api/heroku-schema.json',
    'node_modules/sqlite3/build/Release/node_sqlite3.node',
  ])
    assert.ok(summed.includes(path), path)
  assert.equal(
    summed.filter((path) => /(^|\/)test\/|^dist\/test|node_modules\/(heroku|typescript|@types)\//.test(path)),
    [],
  )
})

test('it says what it would do, and does nothing unasked', async () => {
  const there = () => site.machine.run(['ls', '/opt/sluice', '/etc/systemd/system/sluiced.service'])
  const told = output(await install(script(release), '--dry-run'))
  assert.match(told, /Sluice 0\.1\.0 will be installed/)
  assert.match(told, /sluiced\.service/)
  const refused = await install(script(release), '--domain=apps.example.com')
  assert.is(refused.code, 1)
  assert.match(refused.output, /run it again with --yes/)
  const senseless = await install(script(release), '--domain=Apps!')
  assert.is(senseless.code, 2)
  assert.match(senseless.output, /not a domain name/)
  assert.not.match((await there()).stdout, /sluice/)
})

test('what is damaged, or not for this machine, is not installed', async () => {
  const wrong = join(site.shelf, 'wrong')
  await changed(release, wrong, '0.1.1', { MANIFEST: (text) => text.replace(/^# glibc .*$/m, '# glibc 9.1') })
  assert.match((await install(script(wrong), '--yes')).output, /glibc 9\.1 or newer is needed/)
  await site.machine.must([
    'sh',
    '-c',
    `echo x >>${wrong}/dist/daemon/main.js; sed -i 's/^# glibc .*/# glibc 2.2/' ${wrong}/MANIFEST`,
  ])
  assert.match((await install(script(wrong), '--yes')).output, /damaged/)
  assert.not.ok(existsSync(join(site.data, 'sluice.db')))
})

test('one command installs it: units enabled, ready, an app pushed by git and served', async () => {
  await site.machine.write('/etc/sluice/sluice.env', settingsFile(site.settings), 0o600)
  const told = output(await install(script(release), archive, '--yes'))
  assert.match(told, /Sluice 0\.1\.0 runs/)
  assert.is(await linkOf('current'), 'releases/0.1.0')
  for (const unit of ['sluiced', 'sluice-router', 'sluice-http.socket', 'sluice-https.socket']) {
    assert.is(await shown(unit, 'ActiveState'), 'active', unit)
    assert.is(await shown(unit, 'UnitFileState'), 'enabled', unit)
  }
  const { deploy } = await site.platform()
  await deploy('shop')
  assert.match(await body(), /^v1/)
  assert.match(output(await site.machine.run(['sluice', 'version'])), /^sluice\/0\.1\.0 /)
  assert.match(output(await site.machine.run(['sluice', 'disk', '--apps'])), /shop/)
})

test('a second time changes nothing', async () => {
  const pids = () => Promise.all(['sluiced', 'sluice-router'].map((unit) => shown(unit, 'MainPID')))
  const before = await pids()
  const told = output(await install(script(release), archive, '--yes', `--key=${join(site.shelf, 'key.pub')}`))
  assert.match(told, /nothing to do/)
  assert.match(told, /only releases signed by the key \/etc\/sluice\/release\.pub are installed here/)
  assert.equal(await pids(), before)
})

test('once it was installed with a key only what that has signed is, until somebody takes the key away', async () => {
  const kept = '/etc/sluice/release.pub'
  const signature = `${archive}.sha256.sig`
  assert.is(await site.machine.must(['cat', kept]), await readFile(join(site.shelf, 'key.pub'), 'utf8'))
  assert.match(output(await install(script(release), archive, '--yes')), /nothing to do/)
  const refused = async (...args: [string, ...string[]]): Promise<string> => {
    const { code, output } = await install(...args, '--yes')
    assert.is(code, 1, output)
    return output
  }
  await site.machine.must([
    'sh',
    '-c',
    `openssl genpkey -algorithm ed25519 | openssl pkey -pubout >${site.shelf}/other.pub`,
  ])
  assert.match(await refused(script(release), archive, `--key=${site.shelf}/other.pub`), /other\.pub is another/)
  await site.machine.must(['mv', signature, `${signature}.kept`])
  assert.match(await refused(script(release), archive), /There is no .*sig, and only a release that is signed/)
  await site.machine.must(['mv', `${signature}.kept`, signature])
  await changed(release, newer(), '0.2.0', migrated('newer'))
  assert.match(await refused(script(newer())), /takes only releases signed by the key/)
  assert.is(await version(), '0.1.0')
  await site.machine.must(['rm', kept])
})

const newer = () => join(site.shelf, '0.2.0')

test('an upgrade is one command too, and no request fails', async () => {
  const told = output(await served(() => install(script(newer()), '--yes')))
  assert.match(told, /put in place of 0\.1\.0/)
  assert.is(await version(), '0.2.0')
  for (const unit of ['sluiced', 'sluice-router']) {
    const program = await site.machine.must(['readlink', `/proc/${await shown(unit, 'MainPID')}/exe`])
    assert.is(program.trim(), '/opt/sluice/releases/0.2.0/bin/node', unit)
  }
})

/** A schema that only the newer release knows. */
const migrated = (table: string) => ({
  'dist/daemon/store/migrations.js': (text: string) => `${text}\nmigrations.push('CREATE TABLE ${table} (id TEXT)')\n`,
  MANIFEST: (text: string) => text.replace(/^# schema (\d+)$/m, (_, schema) => `# schema ${Number(schema) + 1}`),
})

test('a release that does not know the schema of the database is refused, and nothing is changed', async () => {
  const refused = await served(() => install(script(release), '--yes'))
  assert.is(refused.code, 1)
  assert.match(refused.output, /from a newer Sluice/)
  assert.is(await version(), '0.2.0')
})

test('an upgrade that does not come up goes back by itself, with the database from just before, and the app is served all along', async () => {
  // one before it was killed after its daemon was ready: what was accepted since counts
  await site.machine.must(['ln', '-s', 'releases/0.1.0', '/opt/sluice/upgrading'])
  const { api } = await site.platform()
  await api('PATCH', '/apps/shop/config-vars', { BEFORE: 'it' })
  const broken = join(site.shelf, '0.3.0')
  await changed(join(site.shelf, '0.2.0'), broken, '0.3.0', {
    ...migrated('newest'),
    'dist/daemon/main.js': (text) => text.replace('await recover(d)', "throw new Error('no luck with this release')"),
  })
  const failed = await served(() => install(script(broken), '--yes'))
  assert.is(failed.code, 1)
  assert.match(failed.output, /no luck with this release/)
  assert.match(failed.output, /0\.2\.0 runs as before/)
  assert.is(await version(), '0.2.0')
  assert.is(await shown('sluiced', 'ActiveState'), 'active')
  await api('PATCH', '/apps/shop/config-vars', { AFTER: 'it' })
  assert.equal(await api('GET', '/apps/shop/config-vars'), { BEFORE: 'it', AFTER: 'it' })
  assert.match(failed.output, /wrote into the database is in .*after-upgrade\.db/)
  const ask = [
    '/opt/sluice/releases/0.3.0/bin/node',
    '/opt/sluice/releases/0.3.0/dist/daemon/store/snapshot.js',
  ] as const
  const schema = async (name: string) => Number(await site.machine.must([...ask, 'schema', join(site.data, name)]))
  assert.is(await schema('after-upgrade.db'), (await schema('sluice.db')) + 1)
})

test('an upgrade that was killed half way is finished by running it again', async () => {
  const newest = join(site.shelf, '0.4.0')
  await changed(join(site.shelf, '0.2.0'), newest, '0.4.0')
  await served(async () => {
    const first = install(script(newest), '--yes')
    const kill = `until [ -e /opt/sluice/upgrading ]; do sleep 0.02; done; pkill -KILL -f '0.4.0/[i]nstall.sh'`
    await site.machine.must(['timeout', '120', 'sh', '-c', kill])
    assert.is.not((await first).code, 0)
    assert.match(output(await install(script(newest), '--yes')), /from 0\.2\.0 was interrupted/)
  })
  assert.is(await version(), '0.4.0')
  assert.is((await site.machine.run(['test', '-e', '/opt/sluice/upgrading'])).code, 1)
  assert.equal((await site.machine.must(['ls', '/opt/sluice/releases'])).split('\n').filter(Boolean), [
    '0.2.0',
    '0.3.0',
    '0.4.0',
  ])
})

test('a removal leaves nothing but the data, from which an installation brings everything back', async () => {
  const refused = await install('/opt/sluice/current/install.sh', '--remove')
  assert.match(refused.output, /run it again with --yes/)
  output(await install('/opt/sluice/current/install.sh', '--remove', '--yes'))
  const left = await site.machine.run([
    'sh',
    '-c',
    'ls -d /opt/sluice /etc/systemd/system/sluice*.s* /etc/*.d/sluice* /usr/local/bin/sluice; getent passwd | grep sluice; nft list tables | grep sluice_' +
      site.installation.slice(0, 8),
  ])
  assert.is(left.stdout.replace(/.*\.(socket|service)\.d\n?/g, ''), '')
  // nobody else can have their numbers and with them the data; an installation takes it over again, as that of a daemon that ran as root
  for (const name of ['.', 'sluice.db', 'seal.key', 'router'])
    if (existsSync(join(site.data, name))) assert.is(statSync(join(site.data, name)).uid, 0, name)
  assert.equal((await things(site.installation)).map(described), [])
  // a new one would open nothing of what is there
  await site.machine.must(['mv', '/etc/sluice/seal.key', '/root/seal.key'])
  const lost = await install(script(join(site.shelf, '0.4.0')), '--yes')
  assert.is(lost.code, 1)
  assert.match(lost.output, /sealed with is not\. Put that back as \/etc\/sluice\/seal\.key/)
  await site.machine.must(['mv', '/root/seal.key', '/etc/sluice/seal.key'])
  await site.machine.write('/usr/local/bin/sluice', 'of somebody else', 0o755)
  output(await install(script(join(site.shelf, '0.4.0')), '--yes'))
  await waitFor('the app to be back', async () => /^v1/.test(await body()))
  const { api } = await site.platform()
  await api('PATCH', '/apps/shop/config-vars', { AGAIN: 'it' })
  // but for what the kernel makes below each dyno's layer
  const ofRoot = await site.machine.run(['find', site.data, '-user', 'root', '!', '-path', '*/work/work'])
  assert.is(ofRoot.stdout, '')
  output(await install('/opt/sluice/current/install.sh', '--remove', '--purge', '--yes'))
  assert.not.ok(existsSync(site.data) && readdirSync(site.data).length > 0)
  assert.is((await site.machine.run(['ls', '/etc/systemd/system/sluiced.service.d'])).code, 2)
  assert.is(await site.machine.read('/usr/local/bin/sluice'), 'of somebody else')
})

test.run()
