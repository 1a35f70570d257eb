import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Outcome, run } from '../e2e/command.ts'
import { waitFor } from '../e2e/wait.ts'
import { artefact } from './artefact.ts'
import type { Machine } from './machine.ts'
import { takeSite } from './site.ts'

/** Configs for hosts whose first boot reads Ignition. */
const root = resolve(import.meta.dirname, '..', '..', '..')
const systems = ['fcos', 'flatcar'] as const
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHdH9u0kBvqoM1a0fWvR7eQkq4tOVlyXc2aTgYvP8u1s ops@example.com'

let folder: string
let key: string
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-coreos-'))
  key = join(folder, 'key.pub')
  await writeFile(key, `${KEY}\n`)
})
test.after(() => rm(folder, { recursive: true }))

const sluice = (...args: string[]) =>
  run([process.execPath, join(root, 'dist/cli/main.js'), ...args], { env: process.env })

/** As in the examples in `systemd/coreos`; flags that come later win. */
const render = (system: string, ...more: string[]) =>
  sluice(
    ...['host:ignition', system, '--archive', 'https://example.com/sluice-0.1.0-linux-x64.tar.gz'],
    ...['--sha256', '0'.repeat(64), '--ssh-key', key, '--domain', 'apps.example.com', ...more],
  )

const output = ({ code, output }: Outcome): string => {
  if (code !== 0) throw new Error(`it ended with ${code}:\n${output}`)
  return output
}

test('Ignition itself finds nothing in the configs, on a disk of their own or not', async () => {
  const path = join(folder, 'host.ign')
  const validated = async (text: string) => {
    await writeFile(path, text)
    return run(['ignition-validate', path], { env: process.env })
  }
  for (const system of systems)
    for (const more of [[], ['--data-disk', '/dev/disk/by-id/nvme-1', '--set', 'SLUICE_CYCLE=on']]) {
      const { code, output: said } = await validated(output(await render(system, ...more)))
      assert.equal([code, said], [0, ''], `${system} ${more}`)
    }
  // what is not of the schema is only warned of
  assert.match((await validated('{"ignition":{"version":"3.3.0"},"storage":{"fils":[]}}')).output, /Unused key fils/)
})

test('the Butane configs in systemd/coreos are what the command renders', async () => {
  for (const system of systems) {
    const kept = readFileSync(join(root, `systemd/coreos/${system}.bu`), 'utf8')
    const rendered = await render(system, '--butane', '--data-disk', '/dev/disk/by-id/virtio-data')
    assert.is(kept.replace(/^#.*\n/gm, ''), output(rendered))
  }
})

test('what would not boot into a platform is refused with what it should be', async () => {
  const wrong: [string[], RegExp][] = [
    [['--archive', 'sluice.tar.gz'], /--archive is "sluice\.tar\.gz"; it must be an http or https URL/],
    [['--sha256', 'abc'], /64 hexadecimal digits/],
    [['--domain', 'Not_A.Name'], /a domain name such as/],
    [['--reboot', 'at night'], /like Sun 04:00/],
    [['--set', 'PATH=/tmp'], /like SLUICE_NAME=value/],
    [['--data-disk', 'vdb'], /a device/],
  ]
  for (const [flags, sentence] of wrong) {
    const refused = await render('fcos', ...flags)
    assert.is(refused.code, 2, flags.join(' '))
    assert.match(refused.stderr, sentence)
    assert.is(refused.stdout, '')
  }
  assert.match((await render('fcos', '--ssh-key', join(folder, 'none'))).output, /cannot be read \(ENOENT\)/)
})

interface Ignition {
  storage: { files: { path: string; mode: number; contents: { source: string; verification?: { hash: string } } }[] }
  systemd: { units: { name: string; enabled: boolean; contents?: string }[] }
}

/** Does what Ignition does at the first boot. The unit of the image registry would need the engine's own command, and an image hub. */
async function ignite(machine: Machine, { storage, systemd }: Ignition): Promise<void> {
  for (const { path, mode, contents } of storage.files) {
    const fetched = Buffer.from(await (await fetch(contents.source)).arrayBuffer())
    if (contents.verification)
      assert.is(`sha256-${createHash('sha256').update(fetched).digest('hex')}`, contents.verification.hash)
    await machine.write(path, fetched, mode)
  }
  for (const { name, contents, enabled } of systemd.units) {
    if (contents === undefined || name === 'sluice-registry.service') continue
    await machine.write(`/etc/systemd/system/${name}`, contents)
    if (enabled) await machine.must(['systemctl', 'enable', name])
  }
  await machine.must(['systemctl', 'daemon-reload'])
}

test('what a config writes on a machine without Node.js becomes a platform by its own unit, and stays one over a reboot', async () => {
  const archive = await readFile(await artefact())
  const server = createServer((_, res) => res.end(archive)).listen(0, '127.0.0.1')
  const site = await takeSite()
  const { machine, settings } = site
  try {
    const own = Object.entries({ ...settings, SLUICE_REGISTRY: 'none' })
    const config = await render(
      'fcos',
      ...['--archive', `http://127.0.0.1:${(server.address() as AddressInfo).port}/sluice.tar.gz`],
      ...['--sha256', createHash('sha256').update(archive).digest('hex')],
      ...['--domain', 'localhost'],
      ...own.flatMap(([name, value]) => ['--set', `${name}=${value}`]),
    )
    await ignite(machine, JSON.parse(output(config)))
    await machine.must(['systemctl', 'start', 'sluice-install'])
    const { deploy, request } = await site.platform()
    await deploy('shop')
    assert.match((await request('shop')).body, /^v1/)
    assert.is((await machine.run(['ls', '/opt/sluice-archive'])).code, 2)
    await machine.down()
    await machine.up()
    await waitFor('the app to be back', async () => /^v1/.test((await request('shop')).body))
    assert.match(await machine.must(['systemctl', 'show', '-P', 'ConditionResult', 'sluice-install']), /no/)
  } finally {
    server.close()
    await site.leave()
  }
})

test.run()
