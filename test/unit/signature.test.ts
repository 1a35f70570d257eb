import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

/** What pack.sh signs and install.sh asks for, with the machine's openssl. */
const root = resolve(import.meta.dirname, '..', '..', '..')
const run = promisify(execFile)
let folder = ''
const at = (name: string): string => join(folder, name)

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-signature-'))
  for (const name of ['ours', 'other']) {
    await run('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', at(`${name}.pem`)])
    await run('openssl', ['pkey', '-in', at(`${name}.pem`), '-pubout', '-out', at(`${name}.pub`)])
  }
  await writeFile(at('archive'), 'a release')
  await run('sh', ['-c', 'sha256sum archive >archive.sha256'], { cwd: folder })
  assert.is(await call('sign', 'ours.pem', 'archive.sha256'), '')
})
test.after(() => rm(folder, { recursive: true }))

/** What it says; nothing when all is well. */
async function call(name: string, ...args: string[]): Promise<string> {
  const program = `fail() { echo "$*"; exit 1; }; . "$0"; ${name} "$@"`
  const script = join(root, 'systemd', 'signature.sh')
  return run('bash', ['-euc', program, script, ...args], { cwd: folder }).then(
    ({ stdout, stderr }) => stdout + stderr,
    ({ stdout, stderr }) => `${stdout}${stderr}`,
  )
}

/** With another content of a file, which is put back. */
async function changed<Result>(name: string, text: Buffer | undefined, work: () => Promise<Result>): Promise<Result> {
  await copyFile(at(name), at('kept'))
  if (text === undefined) await rm(at(name))
  else await writeFile(at(name), text)
  return work().finally(() => copyFile(at('kept'), at(name)))
}

test('what a key has signed is taken by its public half alone', async () => {
  assert.is(await call('require_signature', 'ours.pub', 'archive'), '')
  assert.match(await call('require_signature', 'other.pub', 'archive'), /is not signed by the key other\.pub/)
})

test('a checksum or a signature that was changed, cut off or left out is refused', async () => {
  const ask = () => call('require_signature', 'ours.pub', 'archive')
  for (const name of ['archive.sha256', 'archive.sha256.sig']) {
    const bytes = await readFile(at(name))
    const flipped = Buffer.from(bytes)
    flipped[3] = (flipped[3] ?? 0) ^ 1
    for (const other of [flipped, bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.from('\n')]), Buffer.alloc(0)])
      assert.match(await changed(name, other, ask), /is not signed by the key ours\.pub/)
    assert.match(await changed(name, undefined, ask), new RegExp(`There is no ${name},`))
  }
  assert.is(await ask(), '')
})

test('a key of another kind, or none, is said at once', async () => {
  await run('openssl', ['genpkey', '-algorithm', 'RSA', '-out', at('rsa.pem')])
  await run('openssl', ['pkey', '-in', at('rsa.pem'), '-pubout', '-out', at('rsa.pub')])
  assert.match(await call('require_signature', 'rsa.pub', 'archive'), /rsa\.pub is no public Ed25519 key\. Make one/)
  assert.match(await call('require_signature', 'archive', 'archive'), /archive is no public Ed25519 key/)
  assert.match(await call('require_signature', 'ours.pem', 'archive'), /ours\.pem is no public Ed25519 key/)
  assert.match(await call('require_signature', 'none', 'archive'), /There is no key none/)
  const pack = (key: string) =>
    run('bash', [join(root, 'systemd', 'pack.sh'), `--to=${at('made')}`, `--sign=${at(key)}`]).catch(
      ({ stderr }) => stderr,
    )
  assert.match(await pack('rsa.pem'), /pack: .*rsa\.pem is no Ed25519 key/)
  assert.match(await pack('none'), /pack: There is no key/)
})

/** An archive whose install.sh tells what it is. */
async function archive(name: string): Promise<void> {
  await mkdir(at(`${name}/release`), { recursive: true })
  await writeFile(at(`${name}/release/install.sh`), `#!/bin/sh\necho this is ${name}\n`, { mode: 0o755 })
  await writeFile(at(`${name}/release/MANIFEST`), '')
  await run('tar', ['-czf', at(`${name}.tar.gz`), '-C', at(name), 'release'])
}

test('an archive that is replaced when it was just looked at is not what is installed', async () => {
  for (const name of ['good', 'evil']) await archive(name)
  await run('sh', ['-c', 'sha256sum good.tar.gz >good.tar.gz.sha256'], { cwd: folder })
  assert.is(await call('sign', 'ours.pem', 'good.tar.gz.sha256'), '')
  await mkdir(at('bin'))
  const swap = `#!/bin/sh\n${await which('sha256sum')} "$@"\ncp '${at('evil.tar.gz')}' '${at('good.tar.gz')}'\n`
  await writeFile(at('bin/sha256sum'), swap, { mode: 0o755 })
  const args = [join(root, 'systemd', 'install.sh'), at('good.tar.gz'), `--key=${at('ours.pub')}`, '--dry-run']
  const env = { ...process.env, PATH: `${at('bin')}:${process.env.PATH}` }
  assert.is((await run('bash', args, { env })).stdout, 'this is good\n')
  assert.equal(await readFile(at('good.tar.gz')), await readFile(at('evil.tar.gz')))
})

const which = async (name: string): Promise<string> => (await run('sh', ['-c', `command -v ${name}`])).stdout.trim()

test.run()
