import { execFile, spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { importImage, inspectImage } from '../../daemon/engine/image.ts'

const PROGRAMS = 'bash sh cat chmod env head id ls mkdir perl rm seq setsid sleep stty tail touch tr tty'.split(' ')
/** Another recipe makes another image; this tells them apart. */
const RECIPE = '4'

/** A few programs of the host and the libraries they need: an image made in a second, with no network. */
export const testImage = `sluice/test:${RECIPE}`

/** What the image says of itself in its ENV: a dyno must not see it. */
export const imageEnv = 'IMAGE_SAYS=hello'

/** Makes the image unless the engine has it. */
export async function ensureTestImage(socket: string): Promise<string> {
  const found = await inspectImage(socket, testImage)
  if (found?.labels['sluice.test'] === RECIPE) return testImage
  const root = await mkdtemp(join(tmpdir(), 'sluice-test-image-'))
  try {
    await fill(root)
    const tar = spawn('tar', ['-C', root, '--owner=0', '--group=0', '-c', '.'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const changes = [`LABEL sluice.test=${RECIPE}`, `ENV ${imageEnv}`, 'ENV PATH=/image/bin:/usr/bin:/bin']
    await importImage(socket, { name: testImage, tar: tar.stdout, changes })
  } finally {
    await rm(root, { recursive: true, force: true })
  }
  return testImage
}

async function fill(root: string): Promise<void> {
  for (const folder of ['app', 'bin', 'etc/ssl/certs', 'proc', 'dev', 'usr/bin']) await make(root, folder)
  await mkdir(join(root, 'tmp'), { mode: 0o1777 })
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\ndyno:x:1000:1000::/app:/bin/bash\n')
  await writeFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), 'the authorities of the image\n')
  const libraries = new Set<string>()
  for (const program of PROGRAMS) {
    const path = `/usr/bin/${program}`
    await copyFile(path, join(root, path))
    for (const library of await librariesOf(path)) libraries.add(library)
  }
  for (const shell of ['bash', 'sh']) await copyFile(`/usr/bin/${shell}`, join(root, 'bin', shell))
  for (const library of libraries) {
    await make(root, dirname(library))
    await copyFile(library, join(root, library))
  }
}

const make = (root: string, folder: string) => mkdir(join(root, folder), { recursive: true, mode: 0o755 })

async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ldd', [program])
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path]) => path ?? '')
}
