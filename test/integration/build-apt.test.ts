import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { aptSources } from '../../buildpacks/stack/mirror.ts'
import { run } from '../../daemon/build/command.ts'
import { startRig } from './build-rig.ts'
import { type Served, serveBuildpacks } from './buildpack-server.ts'

const rig = await startRig()
let served: Served
test.before(async () => {
  served = await serveBuildpacks()
})
test.after(async () => {
  await served.close()
  await rig.close()
})

const APT = 'heroku-community/apt'

test('packages and what they need are unpacked below .apt, for dynos and for later buildpacks', async () => {
  const probe = await served.add('probe', {
    'bin/detect': '#!/usr/bin/env bash\necho Probe\n',
    'bin/compile':
      '#!/usr/bin/env bash\nset -e\ncd "$1"\necho \'#include <cjson/cJSON.h>\nint main(void) { return cJSON_Parse("[1]") == 0; }\' > p.c\ngcc -o p p.c $(pkg-config --cflags --libs libcjson)\n./p && qrencode -V 2>&1 | head -n 1 > qrencode.txt; pkg-config --variable=includedir libcjson > include.txt\n',
  })
  const app = await rig.app([APT, probe])
  const { release, output } = await rig.push(app, 'apt-hello')
  if (!release) throw new Error(output)
  for (const line of [
    /^-----> Apt app detected$/m,
    /^-----> Updating apt caches$/m,
    /^-----> Fetching \.debs for qrencode libcjson-dev$/m,
    /^-----> Installing qrencode_\S+\.deb$/m,
    /^-----> Installing libqrencode4_\S+\.deb$/m,
    /^-----> Writing profile script$/m,
  ])
    assert.match(output, line)
  const read = (path: string) => readFile(join(rig.tree(release), path), 'utf8')
  assert.match(await read('qrencode.txt'), /^qrencode version \d/)
  assert.match(await read('include.txt'), /^\/tmp\/build_[0-9a-f]+\/\.apt\/usr\/include$/m)
  const profile = join(rig.tree(release), '.profile.d', '000_apt.sh')
  const environment = await run('env', ['-i', 'HOME=/app', 'PATH=/usr/bin:/bin', 'bash', '-c', `. ${profile} && env`])
  const triplet = /LD_LIBRARY_PATH=\/app\/\.apt\/usr\/lib\/([a-z0-9_-]+):/.exec(environment)?.[1]
  for (const line of [
    'PATH=/app/.apt/usr/bin:/usr/bin:/bin',
    `LD_LIBRARY_PATH=/app/.apt/usr/lib/${triplet}:/app/.apt/usr/lib`,
    `CPATH=/app/.apt/usr/include:/app/.apt/usr/include/${triplet}`,
  ])
    assert.ok(environment.split('\n').includes(line), `${line} in\n${environment}`)

  const again = await rig.push(app, 'apt-hello', { key: 'a change outside of the Aptfile' })
  assert.match(again.output, /^-----> Reusing cache$/m)
  assert.match(again.output, /Need to get 0 B\//)
})

test('without its sources an unchanged Aptfile is installed from the cache, a new one is refused in words', async () => {
  // A buildpack before it takes the sources away when the source says so.
  const cut = await served.add('cut', {
    'bin/detect': '#!/usr/bin/env bash\necho Cut\n',
    'bin/compile':
      '#!/usr/bin/env bash\nif [[ -f $1/cut ]]; then echo "export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9" > export; fi\n',
  })
  const app = await rig.app([cut, APT])
  const first = await rig.push(app, { Aptfile: 'qrencode' })
  assert.ok(first.release, first.output)
  const { release, output } = await rig.push(app, { Aptfile: 'qrencode', cut: '' })
  assert.match(output, /^ ! {5}The lists of packages cannot be fetched; what the last build downloaded is used\.$/m)
  assert.ok(release && (await rig.files(release)).includes('.apt/usr/bin/qrencode'), output)
  const refused = await rig.push(app, { Aptfile: 'hello', cut: '' })
  assert.match(refused.output, /^ ! {5}Error: Packages cannot be fetched\. What apt says is above\.$/m)
  assert.match(refused.output, /^ ! {5}Push rejected, failed to compile Apt app\.$/m)
})

test('packages come from other sources and from URLs, too', async () => {
  const [main = ''] = (await aptSources()).split('\n')
  const [, source] = main.split(' ')
  const { release, output } = await rig.push(await rig.app([APT]), {
    Aptfile: `:repo:deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${source} bookworm main\nfiglet/bookworm jo # two on a line\n`,
  })
  assert.match(output, /^-----> Adding custom repositories$/m)
  assert.match(output, /^-----> Installing figlet_2\.2\.5-3\+b1_\S+\.deb$/m)
  assert.ok(release && (await rig.files(release)).includes('.apt/usr/bin/jo'), output)
})

test('what an Aptfile must not hold, and what does not exist, is named', async () => {
  const app = await rig.app([APT])
  const refused = async (line: string) => (await rig.push(app, { Aptfile: `# comment\r\n${line}\r\n` })).output
  assert.match(await refused('no-such-package-here'), /^ ! {5}Unable to locate package no-such-package-here$/m)
  assert.match(await refused('qrencode=0.1'), /^ ! {5}Version '0\.1' for 'qrencode' was not found$/m)
  assert.match(await refused('-oDir=/'), /^ ! {5}Error: The Aptfile has "-oDir=\/"\.$/m)
  assert.match(await refused(':repo:http://127.0.0.1/'), /^ ! {5}A :repo: line continues as in sources\.list/m)
  const link = await refused('http://who:s3cret@127.0.0.1:9/x.deb')
  assert.match(link, /^ ! {5}Error: The \.deb file of that URL cannot be downloaded\.$/m)
  assert.not.match(link, /s3cret/)
})

test('an Aptfile alone makes no app: the buildpack is used only when it is named', async () => {
  const { output } = await rig.push(await rig.app(), { Aptfile: 'qrencode\n' })
  assert.match(output, /No default language could be detected for this app\./)
})

test.run()
