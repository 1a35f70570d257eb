import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Db, openDatabase } from '../../daemon/store/database.ts'
import { call, installationLabel } from './engine.ts'
import { startPlatform } from './platform.ts'
import { whole } from './whole.ts'
import { faultsInEngine } from './whole-engine.ts'
import { faultsInFiles } from './whole-files.ts'
import { faultsInRows, readRows } from './whole-rows.ts'

/** What other tests rely on: each thing that is not as it should be is found, on a platform whose daemon is dead and mends nothing. */
const platform = await startPlatform()
test.after(() => platform.stop())
const { data } = platform
const installation = (await readFile(join(data, 'installation'), 'utf8')).trim()

await platform.prepare(async () => {
  await platform.deploy('sound')
  await whole(platform)
  await platform.daemon.kill('SIGKILL')
})

const faults = async (): Promise<string[]> => {
  const rows = await readRows(data)
  return [...faultsInRows(rows), ...(await faultsInFiles(data, rows)), ...(await faultsInEngine(data, rows))]
}

/** Does something, looks for what is wrong, and takes it back. */
async function found(spoil: () => Promise<unknown>, mend: () => Promise<unknown>): Promise<string[]> {
  assert.equal(await faults(), [])
  await spoil()
  try {
    return await faults()
  } finally {
    await mend()
  }
}

const strays = [
  'stray',
  'builds/stray',
  'cache/stray',
  'dynos/stray',
  'logs/stray',
  'repos/stray.git',
  'slugs/stray',
  'sources/stray',
  'transcripts/build-stray',
  'tls/stray',
]

test('a file or folder that nobody knows is found, wherever it is', async () => {
  for (const name of strays) {
    const path = join(data, name)
    const seen = await found(
      () => mkdir(path, { recursive: true }),
      () => rm(path, { recursive: true }),
    )
    assert.equal(seen, [`${name} is nobody's`])
  }
})

test('what a push that was cut off leaves in a repository is found', async () => {
  const [app] = (await readRows(data)).apps
  const lock = `repos/${app?.id}.git/refs/heads/main.lock`
  const seen = await found(
    () => writeFile(join(data, lock), ''),
    () => rm(join(data, lock)),
  )
  assert.equal(seen, [`${lock} is left`])
})

test('files of a row that are missing are found', async () => {
  const { slugs, builds, dynos } = await readRows(data)
  const names = [
    `slugs/${slugs[0]?.files}/archive.tar.zst`,
    `slugs/${slugs[0]?.files}/tree`,
    `transcripts/build-${builds[0]?.id}`,
    `dynos/${dynos[0]?.id}`,
  ]
  const aside = `${data}-aside`
  for (const name of names) {
    const seen = await found(
      () => rename(join(data, name), aside),
      () => rename(aside, join(data, name)),
    )
    assert.equal(seen, [`${name} is not there`])
  }
})

test('an archive that is not what was built is found', async () => {
  const path = join(data, 'slugs', (await readRows(data)).slugs[0]?.files ?? '', 'archive.tar.zst')
  const archive = await readFile(path)
  const seen = await found(
    () => writeFile(path, 'spoilt'),
    () => writeFile(path, archive),
  )
  assert.match(seen.join(), /^the archive of the slug \S+ is SHA256:/)
})

test('a container, a network, a volume and an image of nobody are found', async () => {
  const labels = { [installationLabel]: installation }
  const name = `sluice-stray-${process.pid}`
  const { Image = '' } = (await platform.containers())[0] ?? {}
  const stray: [string, string, unknown, string][] = [
    ['/networks', `/networks/${name}`, { Name: name, Labels: labels }, `the network ${name}`],
    ['/volumes', `/volumes/${name}`, { Name: name, Labels: labels }, `the volume ${name}`],
    ['/containers', `/containers/${name}`, { Image, Labels: labels }, 'the container'],
  ]
  for (const [kind, path, body, words] of stray) {
    const query = kind === '/containers' ? `?name=${name}` : ''
    const seen = await found(
      () => call('POST', `${kind}/create${query}`, body),
      () => call('DELETE', path),
    )
    assert.match(seen.join(), new RegExp(`^${words}.*is nobody's$`))
  }
  const tag = `sluice-${installation}/stray`
  const seen = await found(
    () => call('POST', `/images/${Image}/tag?repo=${tag}&tag=web`),
    () => call('DELETE', `/images/${tag}:web`),
  )
  assert.equal(seen, ['the image stray:web is held for nobody'])
})

test('a dyno without its container is found', async () => {
  const [container] = await platform.containers()
  const [dyno] = (await readRows(data)).dynos
  await call('POST', `/containers/${container?.Id}/kill`)
  assert.equal(await faults(), [`the dyno ${dyno?.id} (web) has no running container`])
  await call('POST', `/containers/${container?.Id}/start`)
})

test('what is under way, half done or not as it was asked for is found in the rows', async () => {
  const change = async (to: (db: Db) => Promise<unknown>) => {
    const db = await openDatabase(join(data, 'sluice.db'))
    await to(db).finally(() => db.destroy())
  }
  const spoilt: [(db: Db) => Promise<unknown>, (db: Db) => Promise<unknown>, RegExp][] = [
    [
      (db) => db.updateTable('apps').set({ destroyed_at: 1 }).execute(),
      (db) => db.updateTable('apps').set({ destroyed_at: null }).execute(),
      /^sound is being destroyed$/,
    ],
    [
      (db) => db.updateTable('builds').set({ status: 'pending' }).execute(),
      (db) => db.updateTable('builds').set({ status: 'succeeded' }).execute(),
      /^the build \S+ of sound is pending$/,
    ],
    [
      (db) => db.updateTable('rollouts').set({ state: 'booting' }).where('version', '=', 2).execute(),
      (db) => db.updateTable('rollouts').set({ state: 'succeeded' }).where('version', '=', 2).execute(),
      /v2 of sound is booting.*sound has the dynos web\.1 up v2 and is to have none/s,
    ],
    [
      (db) => db.updateTable('formation').set({ quantity: 2 }).execute(),
      (db) => db.updateTable('formation').set({ quantity: 1 }).execute(),
      /^sound has the dynos web\.1 up v2 and is to have web\.1 up v2, web\.2 up v2$/,
    ],
    [
      (db) => db.updateTable('dynos').set({ replace: 1 }).execute(),
      (db) => db.updateTable('dynos').set({ replace: 0 }).execute(),
      /^web\.1 of sound is to be replaced$/,
    ],
  ]
  for (const [spoil, mend, words] of spoilt) {
    const seen = await found(
      () => change(spoil),
      () => change(mend),
    )
    assert.match(seen.join('\n'), words)
  }
})

test.run()
