import { lstat, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listBuilds } from '../../daemon/build/build.ts'
import { run } from '../../daemon/build/command.ts'
import { changeConfig } from '../../daemon/release/config.ts'
import { slugArchive } from '../../daemon/store/slug-path.ts'
import { startRig } from './build-rig.ts'
import { type Served, serveBuildpacks } from './buildpack-server.ts'

/** The traps of the buildpack contract, each with a buildpack that falls into it if it is there. */
const rig = await startRig()
let served: Served
test.before(async () => {
  served = await serveBuildpacks()
})
test.after(async () => {
  await served.close()
  await rig.close()
})

const DETECT = '#!/usr/bin/env bash\necho -n Probe\n'

test('compile runs in its own folder, with exactly the environment that Heroku gives, and config vars only as files', async () => {
  const pack = await served.add('env', {
    'bin/detect': DETECT,
    'bin/compile': [
      '#!/usr/bin/env bash',
      'env | cut -d= -f1 | sort > "$1/names"; env -0 > "$1/all"; cp -R "$3" "$1/env"; umask > "$1/umask"',
      'echo "$0 $PWD $@" > "$1/args"; ls "$(dirname "$0")" > "$1/here"',
      'ls -A /app > "$1/app"; touch /app/not-in-the-slug; mkdir -p "$2"; echo hi > "$2/a" && ln "$2/a" "$1/linked"',
      'id -u > "$1/user"; getent passwd "$(id -u)" | cut -d: -f6 > "$1/home"; readlink /proc/self/fd/0 > "$1/stdin"',
      'stat -c "%a %n" "$1/x" "$1/Procfile" > "$1/modes"; locale -a | grep -i en_us > "$1/locale"',
    ].join('\n'),
  })
  const app = await rig.app([pack])
  const value = 'línea 1\nline "2" \'3\' $HOME `x` \\'
  const config = {
    VALUE: value,
    EMPTY: '',
    GIT_DIR: '/x',
    LINES: '\n a\r\n\n',
    LONG: 'ü'.repeat(30_000),
    PATH: '/nowhere',
    HOME: '/root',
  }
  await changeConfig(rig.d, app, { id: app.owner_id, email: 'a@example.com' }, config)
  const { release, output } = await rig.push(app, { Procfile: 'web: true\n', x: '#!/bin/sh\n' })
  if (!release) throw new Error(output)
  const read = (name: string) => readFile(join(rig.tree(release), name), 'utf8')
  const names = (await read('names')).trim().split('\n')
  const known = [
    'BUILDPACK_LOG_FILE',
    'DYNO',
    'HOME',
    'OLDPWD',
    'PATH',
    'PWD',
    'REQUEST_ID',
    'SHLVL',
    'SOURCE_VERSION',
    'STACK',
    '_',
  ]
  assert.equal(
    names.filter((name) => !known.includes(name)),
    [],
  )
  assert.match(
    await read('args'),
    /^(\/tmp\/codon\/tmp\/buildpacks\/\S+)\/bin\/compile \1 \/tmp\/build_[0-9a-f]{8} \/tmp\/codon\/tmp\/cache \/tmp\/\S+$/m,
  )
  const variables = (await read('all')).split('\0')
  for (const exact of [
    'HOME=/app',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'STACK=heroku-24',
  ])
    assert.ok(variables.includes(exact), `${exact} is missing`)
  assert.ok(variables.includes('SOURCE_VERSION=0123456789abcdef0123456789abcdef01234567'))
  assert.ok(variables.some((one) => /^REQUEST_ID=[0-9a-f-]{36}$/.test(one)))
  assert.ok(variables.some((one) => /^DYNO=run\.\d+$/.test(one)))
  assert.is(await read('umask'), '0077\n')
  assert.match(await read('modes'), /^700 \S+\/x\n600 \S+\/Procfile$/m)
  assert.is(await read('user'), '1000\n')
  assert.is(await read('home'), '/app\n')
  assert.is(await read('stdin'), '/dev/null\n')
  assert.match(await read('locale'), /en_US\.utf8/)
  assert.is(await read('here'), 'compile\ndetect\n', 'the working directory is the buildpack')
  assert.is(await read('app'), '', '/app is empty')
  for (const [name, value] of Object.entries(config)) assert.is(await read(`env/${name}`), value, name)
  assert.is(await read('linked'), 'hi\n', 'cache and build are one mount')
  assert.not.ok((await rig.files(release)).includes('not-in-the-slug'))
  assert.match(output, /^-----> Using buildpack: http:\/\//m)
  assert.match(output, /^-----> Probe app detected$/m)
  const listing = await run('tar', ['-t', '--zstd', '-f', slugArchive(rig.d.config, String(release.slug_id))])
  assert.ok(listing.startsWith('./app/\n'), listing)
})

test('each buildpack sources what earlier ones export, and only the last one gives default process types', async () => {
  const first = await served.add('first', {
    'bin/detect': DETECT,
    'bin/compile':
      '#!/usr/bin/env bash\necho "export ONE=1" > export; echo seen > "$1/for-second"; printf "no newline"',
    'bin/release': '#!/usr/bin/env bash\nprintf -- "---\\ndefault_process_types:\\n  console: bash\\n"',
  })
  const second = await served.add('second', {
    'bin/detect': '#!/usr/bin/env bash\n[[ -f $1/for-second ]] && echo Second',
    'bin/compile': '#!/usr/bin/env bash\necho "one=$ONE"',
    'bin/release':
      '#!/usr/bin/env bash\nprintf -- "default_process_types:\\n  rake: \\"echo a: b\\"\\n  web: never\\n"',
  })
  const { output, release } = await rig.push(await rig.app([first, second]), { Procfile: 'web: echo colon: here\n' })
  assert.match(output, /^-----> Using buildpacks:\n {7}1\. http.*\n {7}2\. http/m)
  assert.match(output, /^one=1$/m)
  assert.match(output, /^ {7}Procfile declares types {5}-> web\n {7}Default types for buildpack -> rake$/m)
  const slug = await rig.d.db
    .selectFrom('slugs')
    .select('process_types')
    .where('id', '=', String(release?.slug_id))
    .executeTakeFirst()
  assert.equal(JSON.parse(slug?.process_types ?? ''), { rake: 'echo a: b', web: 'echo colon: here' })
})

test('a buildpack that does not fit says why, with its first line indented', async () => {
  const pack = await served.add('unfit', {
    'bin/detect': '#!/usr/bin/env bash\necho "not me" >&2\necho "nor you" >&2\nexit 1\n',
    'bin/compile': '#!/usr/bin/env bash\n',
  })
  const { output } = await rig.push(await rig.app([pack]), { Procfile: 'web: true\n' })
  assert.match(
    output,
    /^-----> App not compatible with buildpack: http.*\n {7}not me\nnor you\n\n {7}More info: https/m,
  )
  assert.match(output, /^ ! {5}Push failed$/m)
})

test('links, modes and odd names are in the slug as they were made, and what a compile leaves running is gone', async () => {
  const pack = await served.add('shapes', {
    'bin/detect': DETECT,
    'bin/compile': [
      '#!/usr/bin/env bash',
      'cd "$1"; ln -s /etc/passwd absolute; ln -s nowhere/at-all dangling; mkdir locked; echo in > locked/file; chmod 555 locked',
      'echo twice > one; ln one two; echo x > "$2/kept"; ln "$2/kept" kept; chmod 4750 one; : > $\'odd\\n\\xff name\'',
      '(sleep 600; echo late) & setsid sleep 600 > /dev/null 2>&1 < /dev/null &',
      'echo ended',
    ].join('\n'),
  })
  const app = await rig.app([pack])
  const { release, output } = await rig.push(app, { Procfile: 'web: true' })
  if (!release) throw new Error(output)
  assert.match(output, /^ended\n-----> Discovering process types$/m)
  const look = (path: string) => lstat(join(rig.tree(release), path))
  assert.is(await readlink(join(rig.tree(release), 'absolute')), '/etc/passwd')
  assert.is(await readlink(join(rig.tree(release), 'dangling')), 'nowhere/at-all')
  assert.is((await look('locked')).mode & 0o7777, 0o555)
  assert.is((await look('two')).ino, (await look('one')).ino)
  const names = await readdir(rig.tree(release), { encoding: 'buffer' })
  assert.ok(names.some((name) => name.equals(Buffer.from('odd\n\xff name', 'latin1'))))
  const archive = slugArchive(rig.d.config, String(release.slug_id))
  const listing = await run('tar', ['-tv', '--zstd', '-f', archive])
  assert.match(listing, /^l\S+ \S+ .* \.\/app\/absolute -> \/etc\/passwd$/m)
  assert.match(listing, /^h\S+ \S+ .* \.\/app\/two link to \.\/app\/one$/m)
  await rm(join(rig.tree(release), 'kept'))
  const again = await rig.push(app, { Procfile: 'web: true', more: '' })
  assert.ok(again.release, again.output)
})

test('an app that no buildpack fits is told so', async () => {
  const { output } = await rig.push(await rig.app(), { 'README.md': 'nothing' })
  assert.match(output, /^ ! {5}No default language could be detected for this app\.\n\t\t\tHINT: /m, output)
  assert.not.match(output, /stack:set/)
  assert.match(output, /^ ! {5}Push failed$/m)
  const container = await rig.push(await rig.app(), { 'heroku.yml': 'build: {docker: {web: Dockerfile}}' })
  assert.match(container.output, /^\t\t\tThere is a heroku\.yml in this source: .*heroku stack:set container/m)
})

test('.slugignore applies before detect', async () => {
  const { output } = await rig.push(await rig.app(), {
    'package.json': '{}',
    '.slugignore': '/package.json\n',
    Procfile: 'web: true',
  })
  assert.match(output, /^-----> Procfile app detected$/m)
})

test("a release command's output is shown before the verdict", async () => {
  const { release, output } = await rig.push(await rig.app(), { Procfile: 'web: true\nrelease: migrate' })
  assert.ok(release, output)
  assert.match(output, /^ ! {5}Release command declared: /m)
  assert.match(output, /^Running release command\.\.\.\n\nran migrate\n\nVerifying deploy\.\.\. done\.$/m)
})

test('a release that fails says why, and its slug and build stay', async () => {
  const app = await rig.app()
  const { release, output } = await rig.push(app, { Procfile: 'web: true\nrelease: false' })
  assert.is(release, undefined)
  assert.match(
    output,
    /ran false\n\n ! {5}The release command exited with status 1\.\n ! {5}v1 still serves\.\n\n ! {5}Push failed$/m,
  )
  assert.is((await listBuilds(rig.d.db, app.id))[0]?.status, 'succeeded')
})

test('a failed build leaves the cache as it was', async () => {
  const pack = await served.add('cache', {
    'bin/detect': DETECT,
    'bin/compile':
      '#!/usr/bin/env bash\ncat "$2/count" 2>/dev/null; echo more >> "$2/count"; cat "$1/code"; exit "$(cat "$1/code")"',
  })
  const app = await rig.app([pack])
  await rig.push(app, { code: '0', Procfile: 'web: true' })
  const failed = await rig.push(app, { code: '1', Procfile: 'web: true' })
  assert.match(failed.output, /failed to compile Probe app/)
  const third = await rig.push(app, { code: '0', Procfile: 'web: false' })
  assert.is(third.output.match(/^more$/gm)?.length, 1, third.output)
})

test('an interrupted build leaves neither container nor folder nor lock', async () => {
  const pack = await served.add('slow', {
    'bin/detect': DETECT,
    'bin/compile': '#!/usr/bin/env bash\necho begun; sleep 600',
  })
  const app = await rig.app([pack])
  const stop = new AbortController()
  const { release, output } = await rig.push(
    app,
    { Procfile: 'web: true' },
    { signal: stop.signal, onOutput: (text) => text.includes('begun') && stop.abort(new Error('gone')) },
  )
  assert.is(release, undefined)
  assert.match(output, /The push was interrupted/)
  assert.is((await listBuilds(rig.d.db, app.id))[0]?.status, 'failed')
  const good = await rig.push(await rig.app(), 'procfile-only')
  assert.ok(good.release, good.output)
})

test('a second build of an app is refused while the first goes on', async () => {
  const pack = await served.add('waits', {
    'bin/detect': DETECT,
    'bin/compile': '#!/usr/bin/env bash\necho begun; sleep 600',
  })
  const app = await rig.app([pack])
  const stop = new AbortController()
  let second: Promise<{ output: string }> | undefined
  await rig.push(
    app,
    { Procfile: 'web: true' },
    {
      signal: stop.signal,
      onOutput: (text) => {
        if (!text.includes('begun') || second) return
        second = rig.push(app, { Procfile: 'web: true' })
        second.finally(() => stop.abort(new Error('enough')))
      },
    },
  )
  assert.match((await second)?.output ?? '', /Another build of \S+ is in progress/)
})

test('what a hostile build leaves in place of its results is not followed', async () => {
  const spoil = (command: string) => ({
    'bin/detect': DETECT,
    'bin/compile': '#!/usr/bin/env bash\n',
    'bin/report': `#!/usr/bin/env bash\ncd /sluice/out; ${command}`,
  })
  const replaced = await served.add(
    'replaced',
    spoil('rm -f release.yml; mkfifo release.yml; ln -sf /etc/passwd Procfile'),
  )
  const { output } = await rig.push(await rig.app([replaced]), { 'a.txt': '' })
  assert.not.match(output, /root:/)
  assert.match(output, /^ {7}Procfile declares types {1}-> \(none\)$/m)
  const moved = await served.add('moved', spoil('rm -rf /tmp/codon; ln -s /etc /tmp/codon'))
  const second = await rig.push(await rig.app([moved]), { 'a.txt': '' })
  assert.is(second.release, undefined)
  assert.match(second.output, /a buildpack removed codon/)
  assert.ok((await readdir('/etc')).includes('passwd'))
})

test('a buildpack that is not there is named, without its password', async () => {
  const url = served.url('missing.git').replace('http://', 'http://user:secret@')
  const { output } = await rig.push(await rig.app([url]), { 'a.txt': '' })
  assert.match(output, /The buildpack http:\S+missing\.git cannot be fetched/)
  assert.not.match(output, /secret/)
})

test.run()
