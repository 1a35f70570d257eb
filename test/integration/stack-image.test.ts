import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { resolveStacks, stacksReady } from '../../buildpacks/stack.ts'
import { connect } from '../../daemon/engine/connection.ts'
import { inspectImage } from '../../daemon/engine/image.ts'

const socket = process.env.SLUICE_ENGINE || '/var/run/docker.sock'
const root = resolve(import.meta.dirname, '..', '..', '..')

async function stack(name: string) {
  const found = (await resolveStacks(socket)).get(name)
  if (!found) throw new Error(`The engine has no images of ${name}; systemd/setup.sh makes them.`)
  return found
}

/** What `script` prints as the image's own user; the status must be 0. */
async function inside(image: string, script: string): Promise<string> {
  const { docker } = connect(socket)
  const container = await docker.createContainer({
    Image: image,
    Cmd: ['bash', '-euc', script],
    Tty: true,
    NetworkDisabled: true,
    HostConfig: { CapDrop: ['ALL'] },
  })
  try {
    const output = await container.attach({ stream: true, stdout: true, stderr: true })
    const text: Buffer[] = []
    output.on('data', (chunk: Buffer) => text.push(chunk))
    const read = new Promise((done) => output.once('end', done))
    await container.start()
    const { StatusCode } = (await container.wait()) as { StatusCode: number }
    await read
    const printed = Buffer.concat(text).toString().replaceAll('\r', '').trim()
    assert.is(StatusCode, 0, printed)
    return printed
  } finally {
    await container.remove({ force: true })
  }
}

test('the engine has a pair for heroku-24, named by ids', async () => {
  const { run, build } = await stack('heroku-24')
  for (const id of [run, build]) assert.match(id, /^sha256:[0-9a-f]{64}$/)
})

test("the build image stands on the run image's layers", async () => {
  const { run, build } = await stack('heroku-24')
  const [lower, whole] = await Promise.all([inspectImage(socket, run), inspectImage(socket, build)])
  if (!lower || !whole) throw new Error('an image is gone')
  assert.equal(whole.layers.slice(0, lower.layers.length), lower.layers)
  assert.ok(whole.layers.length > lower.layers.length)
})

test('in both images the user is not root, owns /app and starts there, in a UTF-8 locale', async () => {
  const { run, build, origin } = await stack('heroku-24')
  for (const image of [run, build]) {
    assert.is(await inside(image, 'locale -a | grep -i en_US.utf8'), 'en_US.utf8')
    if (origin !== 'debian') continue
    const facts = await inside(image, 'id -u; id -g; id -un; pwd; echo "$HOME"; touch /app/mine && stat -c %U /app')
    assert.equal(facts.split('\n'), ['1000', '1000', 'heroku', '/app', '/app', 'heroku'])
  }
})

test('the build image has every tool that official buildpacks call', async () => {
  const { build } = await stack('heroku-24')
  const tools =
    'bash curl tar gzip bzip2 zstd xz unzip jq git python3 sed awk openssl dpkg perl sha256sum shasum make gcc g++ file patch'
  const missing = await inside(
    build,
    `for tool in ${tools}; do command -v "$tool" >/dev/null || echo "$tool"; done; test -s /etc/ssl/certs/ca-certificates.crt`,
  )
  assert.is(missing, '')
})

test('a native extension compiles in the build image and finds its libraries in the run image', async () => {
  const { run, build } = await stack('heroku-24')
  const program =
    '#include <openssl/crypto.h>\n#include <stdio.h>\nint main(void) { puts(OpenSSL_version(OPENSSL_VERSION)); }'
  const compile = `cd /tmp && printf '%s' '${program}' >t.c && gcc t.c -lcrypto -o t && base64 -w0 t`
  const binary = await inside(build, compile)
  assert.match(await inside(run, `cd /tmp && echo '${binary}' | base64 -d >t && chmod +x t && ./t`), /^OpenSSL 3/)
})

test("the run image has no compiler, and neither image has another user's files writable", async () => {
  const { run, build } = await stack('heroku-24')
  assert.is(await inside(run, '! command -v gcc'), '')
  for (const image of [run, build])
    assert.is(
      await inside(
        image,
        "find /etc /usr /var/lib -xdev -writable ! -type l ! -path '/var/lib/*/*' 2>/dev/null | head",
      ),
      '',
    )
})

test('images that are there are found without making or fetching anything', async () => {
  assert.ok(await stacksReady(socket, ['heroku-24']))
  const before = await stack('heroku-24')
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'dist/buildpacks/stack/main.js'), socket])
  assert.is(stdout, '')
  assert.equal(await stack('heroku-24'), before)
})

test.run()
