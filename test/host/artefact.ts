import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const root = resolve(import.meta.dirname, '..', '..', '..')
const kept = join(root, '.sluice', 'pack-test')
const run = promisify(execFile)

/**
 * The artefact of this checkout, signed by the key in `key.pub` beside it, made by `systemd/pack.sh` unless it was made of the same files before. Of two at once the second waits for the
 * first.
 */
export async function artefact(): Promise<string> {
  const folder = join(kept, await fingerprint())
  await mkdir(kept, { recursive: true })
  const make = `[ -e "$2" ] || {
    rm -rf "$3"/* && openssl genpkey -algorithm ed25519 -out "$3/key.pem" && openssl pkey -in "$3/key.pem" -pubout -out "$3/key.pub" &&
      bash "$0" --to="$1" --sign="$3/key.pem" && cp "$3/key.pub" "$1" && mv "$1" "$2"
  }`
  const pack = join(root, 'systemd', 'pack.sh')
  await run('flock', [`${kept}.lock`, 'bash', '-c', make, pack, join(kept, 'made'), folder, kept])
  return join(folder, (await readdir(folder)).find((name) => name.endsWith('.tar.gz')) ?? '')
}

/** Of all that goes into it. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256').update(await readFile(join(root, 'package-lock.json')))
  for (const folder of ['dist/daemon', 'dist/router', 'dist/cli', 'dist/buildpacks', 'buildpacks', 'systemd']) {
    const files = await readdir(join(root, folder), { recursive: true, withFileTypes: true })
    const paths = files.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
    for (const path of paths.sort()) hash.update(path).update(await readFile(path))
  }
  return hash.digest('hex').slice(0, 16)
}

/** Unpacks an artefact as `folder`. */
export async function unpacked(archive: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await run('tar', ['-xzf', archive, '-C', folder, '--strip-components=1'])
}

/** The same release under another version, with other files; `change` gets and gives a file's text. */
export async function changed(
  release: string,
  folder: string,
  version: string,
  changes: Record<string, (text: string) => string> = {},
): Promise<void> {
  await cp(release, folder, { recursive: true, verbatimSymlinks: true })
  const own = { 'package.json': (text: string) => JSON.stringify({ ...JSON.parse(text), version }) }
  let manifest = await readFile(join(folder, 'MANIFEST'), 'utf8')
  manifest = manifest.replace(/^# version .*$/m, `# version ${version}`)
  for (const [path, change] of Object.entries({ ...own, ...changes })) {
    if (path === 'MANIFEST') continue
    const text = change(await readFile(join(folder, path), 'utf8'))
    await writeFile(join(folder, path), text)
    const sum = createHash('sha256').update(text).digest('hex')
    manifest = manifest.replace(new RegExp(`^[0-9a-f]{64}(  ${path.replaceAll('.', '\\.')})$`, 'm'), `${sum}$1`)
  }
  await writeFile(join(folder, 'MANIFEST'), (changes.MANIFEST ?? ((text) => text))(manifest))
}
