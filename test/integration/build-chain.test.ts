import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Account } from '../../daemon/account/account.ts'
import { type App, destroyApp } from '../../daemon/app/app.ts'
import { endCopies } from '../../daemon/build/slug/cache.ts'
import type { Daemon } from '../../daemon/daemon.ts'
import { eraseApp } from '../../daemon/erase.ts'
import { limits } from '../../daemon/limits.ts'
import { changeConfig, currentConfig } from '../../daemon/release/config.ts'
import { listReleases, type Release } from '../../daemon/release/release.ts'
import { startRig } from './build-rig.ts'
import { type Served, serveBuildpacks } from './buildpack-server.ts'

/** Several buildpacks on one app, buildpacks that the app's own source names or is, and what the last of them says of it. */
const rig = await startRig()
let served: Served
test.before(async () => {
  served = await serveBuildpacks()
})
test.after(async () => {
  await served.close()
  await rig.close()
})

const bash = (script: string): string => `#!/usr/bin/env bash\n${script}\n`
let packs = 0
const pack = (name: string, files: Record<string, string> = {}): Promise<string> =>
  served.add(`chain-${packs++}`, { 'bin/detect': bash(`echo ${name}`), 'bin/compile': bash(''), ...files })

async function push(app: App, source: Record<string, string>): Promise<{ release: Release; output: string }> {
  const { release, output } = await rig.push(app, source)
  if (!release) throw new Error(output)
  return { release, output }
}

async function typesOf({ slug_id }: Release): Promise<Record<string, string>> {
  const slug = await rig.d.db
    .selectFrom('slugs')
    .select('process_types')
    .where('id', '=', String(slug_id))
    .executeTakeFirstOrThrow()
  return JSON.parse(slug.process_types)
}

test('every later compile sources what all earlier ones export, in order; detect, release and report do not', async () => {
  const say = (phase: string) => bash(`echo "${phase} $TRAIL." >> "$1/seen"; printf ${phase} >&2`)
  const one = await pack('One', {
    'bin/compile': bash('echo "export TRAIL=one" > export; echo "LOST=1" >> export; printf "one ends within a line"'),
  })
  const two = await pack('Two', {
    'bin/compile': bash('echo "declare -x TRAIL=\\"$TRAIL two\\"" > export; printf "50%%\\r\\e[1mdone\\e[0m"'),
  })
  const three = await pack('Three', {
    'bin/detect': say('detect'),
    'bin/compile': bash('echo "compile $TRAIL$LOST." >> "$1/seen"'),
    'bin/release': say('release'),
    'bin/report': say('report'),
  })
  const app = await rig.app([one, two, three])
  await changeConfig(rig.d, app, { id: app.owner_id, email: 'a@example.com' }, { SECRET: 'hidden' })
  const { release, output } = await push(app, { a: '' })
  const seen = await readFile(join(rig.tree(release), 'seen'), 'utf8')
  assert.is(seen, 'detect .\ncompile one two.\nrelease .\nreport .\n')
  assert.match(
    output,
    /^one ends within a line\n-----> Two app detected\n50%\r\x1b\[1mdone\x1b\[0m\n-----> app detected\n/m,
  )
  assert.not.match(output, /hidden/)
})

test('of several bin/release the last counts, also when later buildpacks have none', async () => {
  const types = (text: string) => ({ 'bin/release': bash(`echo 'default_process_types: {${text}}'`) })
  const first = await pack('First', types('web: first, console: bash'))
  const second = await pack('Second', types('web: second'))
  const cleaner = await pack('Cleaner')
  const { release, output } = await push(await rig.app([first, second, cleaner]), { a: '' })
  assert.equal(await typesOf(release), { web: 'second' })
  assert.match(output, /^ {7}Default types for buildpack -> web$/m)
  const { release: other } = await push(await rig.app([second, first]), { Procfile: 'web: mine\n' })
  assert.equal(await typesOf(other), { web: 'mine', console: 'bash' })
})

test('a chain ends at the first buildpack that does not fit, after those before it', async () => {
  const fits = await pack('Fits', { 'bin/compile': bash('echo compiled') })
  const unfit = await pack('Unfit', { 'bin/detect': bash('exit 1') })
  const { release, output } = await rig.push(await rig.app([fits, unfit]), { a: '' })
  assert.is(release, undefined)
  assert.match(output, /^compiled\n-----> App not compatible with buildpack: http/m)
})

test('the buildpacks that a source lists are used when none are set, and those that are set come before them', async () => {
  const listed = await pack('Listed', { 'bin/compile': bash('echo "compiled by what is listed"') })
  const other = await pack('Other')
  const source = { '.buildpacks': `# two\n${listed}\n${other}\n`, Procfile: 'web: true\n' }
  const app = await rig.app()
  const { output } = await push(app, source)
  assert.match(
    output,
    /^-----> Using \.buildpacks of this source, because no buildpack is set\n-----> Using buildpacks:\n {7}1\. http/m,
  )
  assert.match(output, /^compiled by what is listed$/m)
  assert.match((await push(app, source)).output, /^-----> Reusing slug of v2 /m)
  const chosen = await push(await rig.app([other]), source)
  assert.not.match(chosen.output, /\.buildpacks|Listed/)
  const bad = await rig.push(await rig.app(), { '.buildpacks': 'nonsense\n' })
  assert.is(bad.release, undefined)
  assert.match(bad.output, /^ ! {5}Line 1 of \.buildpacks: "nonsense" is neither .*\n\n ! {5}Push failed/m)
})

test('an app that is its own buildpack is built by itself, named or when nothing else fits', async () => {
  const own = {
    'bin/detect': bash('[[ -f $1/self ]] && echo Self'),
    'bin/compile': bash(
      'cat "$3/COLOR" 2> /dev/null > "$1/colour"; echo "kept $(cat "$2/n" 2> /dev/null)"; echo 1 > "$2/n"',
    ),
    'bin/release': bash('echo "default_process_types: {web: self}"'),
    self: '',
  }
  const app = await rig.app()
  const { release, output } = await push(app, own)
  assert.match(output, /^-----> Self app detected\nkept \n/m)
  assert.equal(await typesOf(release), { web: 'self' })
  assert.match((await push(app, { ...own, more: '' })).output, /^kept 1$/m)
  const { self: _, ...unfit } = own
  assert.match(
    (await push(await rig.app(), { ...unfit, Procfile: 'web: true' })).output,
    /^-----> Procfile app detected$/m,
  )
  const named = await rig.push(await rig.app(['heroku-community/inline']), { Procfile: 'web: true' })
  assert.match(
    named.output,
    /^-----> App not compatible with buildpack: heroku-community\/inline\n {7}An app that is its own .* bin\/detect/m,
  )
})

test('what a bin/release wants of a new app is set when it is absent, in a release of its own, and never again', async () => {
  const url = await pack('Ruby', {
    'bin/release': bash('echo "{addons: [heroku-postgresql], config_vars: {LANG: en_US.UTF-8, RACK_ENV: production}}"'),
  })
  const app = await rig.app([url])
  const account = { id: app.owner_id, email: 'a@example.com' }
  await changeConfig(rig.d, app, account, { RACK_ENV: 'staging' })
  const { output } = await push(app, { Procfile: 'web: true\n' })
  assert.match(output, /^ ! {5}The following add-ons were not provisioned, there are none here: heroku-postgresql\.$/m)
  assert.equal(await currentConfig(rig.d, app.id), { RACK_ENV: 'staging', LANG: 'en_US.UTF-8' })
  const releases = await listReleases(rig.d.db, app.id)
  assert.equal(
    releases.map(({ description }) => description),
    ['Deploy 01234567', 'Set LANG config vars', 'Set RACK_ENV config vars', 'Initial release'],
  )
  await changeConfig(rig.d, app, account, { LANG: null })
  const again = await push(app, { Procfile: 'web: false\n' })
  assert.not.match(again.output, /add-ons/)
  assert.equal(await currentConfig(rig.d, app.id), { RACK_ENV: 'staging' })
})

test('a Procfile is taken as the buildpacks leave it; one in the wrong case is told of', async () => {
  const writes = await pack('Writes', {
    'bin/compile': bash('mkdir "$1/etc"; echo "web: written" > "$1/etc/P"; ln -s etc/P "$1/Procfile"'),
  })
  const { release } = await push(await rig.app([writes]), { a: '' })
  assert.equal(await typesOf(release), { web: 'written' })
  const { output } = await push(await rig.app([await pack('Plain')]), { procfile: 'web: x\n' })
  assert.match(
    output,
    /^-----> Discovering process types\n\n ~ {5}Mis-cased procfile detected; ignoring\.\n ~ {5}Rename it to Procfile to have it honored\.\n\n {7}Procfile declares types -> \(none\)$/m,
  )
})

test('a build that fails after its slug was made, and one whose app is destroyed meanwhile, leave nothing', async () => {
  const left = async () => {
    const all = ['slugs', 'cache', 'builds'].map((name) => readdir(join(rig.d.config.data, name)).catch(() => []))
    return (await Promise.all(all)).map((names) => new Set(names))
  }
  const before = await left()
  const large = await pack('Large', { 'bin/release': bash('echo "config_vars: {A: $(printf %5000s | tr " " x)}"') })
  const account = { id: '', email: 'a@example.com' }
  const full = await rig.app([large])
  await changeConfig(rig.d, full, { ...account, id: full.owner_id }, { B: 'y'.repeat(limits.configSize - 1000) })
  const failed = await rig.push(full, { a: '' })
  assert.match(failed.output, / ! {5}Config vars may have/)

  const app = await rig.app([await pack('Long', { 'bin/compile': bash('echo begun; sleep 3; echo x > $2/x') })])
  const d = { ...rig.d, drains: { endAll() {} }, registry: { async remove() {} } } as unknown as Daemon
  let erased: Promise<void> | undefined
  const { release, output } = await rig.push(
    app,
    { b: '' },
    {
      onOutput(said) {
        if (!said.includes('begun')) return
        erased ??= destroyApp(d, app, { ...account, id: app.owner_id, admin: 1 } as Account).then(() =>
          eraseApp(d, app),
        )
      },
    },
  )
  await erased
  await endCopies()
  assert.is(release, undefined)
  assert.match(output, / ! {5}The app was destroyed\./)
  const cached = new Set([...((await left())[1] ?? [])].filter((id) => id !== full.id))
  assert.equal([(await left())[0], cached], [before[0], before[1]])
})

test.run()
