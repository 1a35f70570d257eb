import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createDisk } from '../../daemon/disk/disk.ts'
import { limits } from '../../daemon/limits.ts'
import { bootId, ensureTree } from '../../daemon/run/tree.ts'
import { waitFor } from '../e2e/wait.ts'
import { slugsOf, stageApp } from './pipeline-rig.ts'
import { startTeam } from './team-rig.ts'

const main = join(import.meta.dirname, '..', '..', 'cli', 'main.js')
const { host, ann, ask, good, refused } = await startTeam()
test.after(() => host.close())
const { d } = host
const { images } = d.engine

/** What dynos wrote beside their /app, and what the engine has that is not the platform's. */
const written = new Map<string, number>()
const others = [{ id: 'sha256:1', bytes: 5_000_000, kept: [], names: ['postgres:16'] }]
let walks = 0
/** What a walk waits for. */
let held: Promise<unknown> | undefined
d.engine = {
  images: { ...images, list: async () => others },
  written: async () => {
    walks++
    await held
    return written
  },
  owners: async () => ({ apps: new Set(), dynos: new Set(), builds: new Set() }),
} as unknown as typeof d.engine
d.disk = createDisk(() => d)
test.after(() => d.disk.close())

const sluice = (...args: string[]) =>
  new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const env = { ...process.env, SLUICE_PORT: new URL(host.url).port, SLUICE_ADMIN_TOKEN: host.token }
    execFile(process.execPath, [main, 'disk', ...args], { env }, (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    )
  })

for (let n = 1; n <= 4; n++) await stageApp(host, 'shop', `version ${n}`)
const shop = await stageApp(host, 'shop', 'version 5')
await stageApp(host, 'tiny', 'one')
for (const { files } of await slugsOf(host, shop)) await ensureTree(d, files)
const cache = join(d.config.data, 'cache', shop.id, 'heroku-24')
for (const name of ['kept', `spare-${await bootId()}`]) {
  await mkdir(join(cache, name), { recursive: true })
  await writeFile(join(cache, name, 'module'), Buffer.alloc(200_000))
}
const dyno = await d.db.selectFrom('dynos').select('id').where('app_id', '=', shop.id).executeTakeFirstOrThrow()
await mkdir(join(d.config.data, 'dynos', dyno.id, 'upper'), { recursive: true })
await writeFile(join(d.config.data, 'dynos', dyno.id, 'upper', 'file'), Buffer.alloc(1_000_000))
written.set(dyno.id, 30_000_000)

interface Kind {
  kind: string
  count: number
  size: number
  collectable: number
  collectable_count: number
}
const kindOf = (all: Kind[], kind: string) => all.find((one) => one.kind === kind)

test('who scrapes metrics is told what was measured last, and measures nothing', async () => {
  const metrics = () => host.request('GET', '/metrics').then(({ text }) => text)
  assert.not.match(await metrics(), /sluice_disk_held_bytes/)
  const before = walks
  const { kinds } = await good('GET', '/sluice/disk')
  assert.is(walks, before + 1)
  const told = await metrics()
  for (const { kind, size } of kinds) assert.ok(told.includes(`sluice_disk_held_bytes{kind="${kind}"} ${size}\n`), kind)
  assert.is(walks, before + 1)
  await d.disk.watch()
  const after = walks
  await d.disk.watch()
  assert.is(walks, after + 1, 'the second look within an hour is one at the dynos only')
})

test('an administrator sees what holds how much, by kind and by app, and how full the disk is', async () => {
  const { kinds, apps, file_systems } = await good('GET', '/sluice/disk')
  assert.ok(kinds.every(({ size }: Kind, n: number) => n === 0 || size <= kinds[n - 1].size))
  assert.equal(kindOf(kinds, 'other image'), {
    ...{ kind: 'other image', count: 1, size: 5_000_000, collectable_count: 0, collectable: 0 },
  })
  const copies = kindOf(kinds, 'cache copy')
  assert.ok(copies && copies.size >= 200_000 && copies.collectable === copies.size)
  assert.equal([kindOf(kinds, 'slug')?.count, kindOf(kinds, 'slug')?.collectable_count], [6, 3])
  assert.equal([kindOf(kinds, 'tree')?.count, kindOf(kinds, 'tree')?.collectable_count], [5, 4])
  assert.equal(
    apps.map(({ app }: { app: { name: string } }) => app.name),
    ['shop', 'tiny'],
  )
  const [first] = file_systems
  assert.is(first.place, 'data')
  assert.is(first.used + first.free, first.size)
  assert.is(first.budget, Math.floor(first.size * 0.85))
})

test('of one app everything is told, with versions and dynos by their names', async () => {
  const { app, holdings } = await good('GET', '/sluice/disk/apps/shop')
  assert.equal(app, { id: shop.id, name: 'shop' })
  const [largest] = holdings
  assert.equal([largest.kind, largest.name, largest.why], ['dyno', 'web.1', 'a dyno runs it'])
  assert.ok(largest.size >= 31_000_000, 'files below /app and beside it')
  const slugs = holdings.filter(({ kind }: { kind: string }) => kind === 'slug')
  assert.equal(slugs.map((one: { name: string; collectable: boolean }) => `${one.name} ${one.collectable}`).sort(), [
    'v2 true',
    'v3 true',
    'v4 true',
    'v5 false',
    'v6 false',
  ])
  await refused(ask('GET', '/sluice/disk/apps/none'), 404, /Couldn't find that app/)
})

test('those who ask at the same time share one walk', async () => {
  walks = 0
  const { survey } = d.disk
  let asked = 0
  d.disk.survey = () => {
    asked++
    return survey()
  }
  held = waitFor('all to have asked', () => asked === 3)
  await Promise.all([good('GET', '/sluice/disk'), good('GET', '/sluice/disk'), good('GET', '/sluice/disk/apps/shop')])
  d.disk.survey = survey
  assert.is(walks, 1)
})

test('nobody else sees it, or has anything removed', async () => {
  for (const path of ['/sluice/disk', '/sluice/disk/apps/shop'])
    await refused(ask('GET', path, undefined, ann), 403, /Only an administrator/)
  await refused(ask('POST', '/sluice/disk/collect', { slugs: true }, ann), 403, /Only an administrator/)
  await refused(ask('POST', '/sluice/disk/collect', { slugs: 'yes' }), 422, /slugs/)
})

test('the sluice command shows tables without colours, or JSON', async () => {
  const { code, out } = await sluice()
  assert.is(code, 0)
  assert.match(out, /^\d.* in use, .* free, budget .* \(the data folder/)
  assert.match(out, /\nkind +count +size +can go\n/)
  assert.match(out, /\nother image +1 +5\.0 MB\n/)
  assert.match(out, /\nslug +6 .* .*\n/)
  assert.not.match(out, '\u001b')
  assert.match((await sluice('--apps')).out, /\napp +size +can go\nshop .*\ntiny /)
  assert.match(
    (await sluice('shop')).out,
    /^kind +name +size +can go +why it is kept\ndyno +web\.1 +31\.\d MB +a dyno runs it\n/,
  )
  assert.equal(Object.keys(JSON.parse((await sluice('--json')).out)), ['file_systems', 'kinds', 'apps'])
})

test('the sluice command says what is wrong, and how it is used', async () => {
  const wrong: [string[], RegExp][] = [
    [['--all'], /Nonexistent flag: --all[\s\S]*USAGE\n {2}\$ sluice disk \[APP\]/],
    [['a', 'b'], /Unexpected argument: b/],
    [['shop', '--apps'], /Give one of APP, --apps and --collect/],
    [['--slugs'], /Missing required flag collect/],
    [['--dry-run'], /Missing required flag collect/],
  ]
  for (const [args, says] of wrong) {
    const { code, out, err } = await sluice(...args)
    assert.equal([code, out], [2, ''])
    assert.match(err, says)
  }
  assert.match((await sluice('--help')).out, /^what holds how much disk[\s\S]*\nUSAGE\n[\s\S]*\nEXAMPLES\n/)
  assert.match((await sluice('none')).err, /^ › {3}Error: Couldn't find that app/)
})

test('a dry run tells what would go, and removes nothing; then just that goes', async () => {
  const dry = JSON.parse((await sluice('--collect', '--dry-run', '--json')).out)
  assert.equal(dry.collected.map(({ kind }: Kind) => kind).sort(), ['cache', 'cache copy', 'tree'])
  assert.match((await sluice('--collect', '--dry-run')).out, /This would go: .*\. Nothing was removed\./)
  const { code, out } = await sluice('--collect', '--json')
  assert.is(code, 0)
  assert.equal(JSON.parse(out).collected, dry.collected)
  const { kinds } = await good('GET', '/sluice/disk')
  assert.equal([kindOf(kinds, 'slug')?.count, kindOf(kinds, 'tree')?.count], [6, 1])
  assert.match((await sluice('--collect')).out, /^Removed 0 B\./)
})

test('old slugs go when they are named, down to two of each app, and then nothing more can go', async () => {
  const dry = JSON.parse((await sluice('--collect', '--slugs', '--dry-run', '--json')).out)
  assert.match((await sluice('--collect', '--slugs')).out, /slug +3 .*\n[\s\S]*Removed /)
  assert.equal(
    dry.collected.map(({ kind, count }: Kind) => `${kind} ${count}`),
    ['slug 3'],
  )
  const { kinds } = await good('GET', '/sluice/disk')
  assert.is(kindOf(kinds, 'slug')?.count, 3)
  assert.equal(
    kinds.filter(({ collectable }: Kind) => collectable > 0),
    [],
  )
  const lines = d.logs.recent(shop.id, {}, 100).map(({ text }) => text)
  assert.ok(lines.includes('Removed the slug of v2 to free disk space: it can no longer be rolled back to'))
  const text = 'Collected disk, old slugs too'
  const [done] = await d.db.selectFrom('activities').select('email').where('text', '=', text).execute()
  assert.ok(done)
})

test('a dyno that has written much has it told in its log, and again when it is twice as much', async () => {
  const told = () =>
    d.logs.recent(shop.id, {}, 100).filter(({ text, dyno }) => dyno === 'web.1' && /Files of this dyno/.test(text))
  await d.disk.watch()
  assert.is(told().length, 0)
  for (const [bytes, lines] of [
    [limits.dynoFiles, 1],
    [1.9 * limits.dynoFiles, 1],
    [2.1 * limits.dynoFiles, 2],
    [0, 2],
    [limits.dynoFiles, 3],
  ] as const) {
    written.set(dyno.id, bytes)
    await d.disk.watch()
    assert.is(told().length, lines, `at ${bytes}`)
  }
  assert.match(
    told()[0]?.text ?? '',
    /^Files of this dyno take 4\.0G of disk\. They go when it ends: heroku ps:restart web\.1$/,
  )
})

test.run()
