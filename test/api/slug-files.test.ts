import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  copySlug,
  insertSlug,
  keepSlug,
  recoverSlugs,
  remainsOf,
  removeSlug,
  type Slug,
  slugWithChecksum,
  slugWithKey,
} from '../../daemon/build/slug/slug.ts'
import { decide } from '../../daemon/store/database.ts'
import { slugArchive, slugFolder, slugTree } from '../../daemon/store/slug-path.ts'
import { startHost } from './host.ts'
import { slugsOf, stageApp } from './pipeline-rig.ts'

/** Slugs with the same content, and their files. */
const host = await startHost()
const { d } = host
test.after(() => host.close())

/** An app with one slug whose archive and tree are there. */
async function staged(name: string): Promise<Slug> {
  const app = await stageApp(host, name, name)
  const [slug] = await slugsOf(host, app)
  if (!slug || !(await slugWithKey(d, app.id, slug.key))) throw new Error(`${name} has no slug`)
  return slug
}

const there = ({ files }: Slug) => existsSync(slugArchive(d.config, files)) && existsSync(slugTree(d.config, files))
const insert = (slug: Slug) => decide(d.db, (tx) => insertSlug(tx, slug))

/** As an app that is erased: its rows go, then what only it had. */
async function erase(app: string): Promise<void> {
  const slugs = await remainsOf(d.db, app)
  await d.db.updateTable('releases').set({ slug_id: null }).where('app_id', '=', app).execute()
  await d.db.deleteFrom('slugs').where('app_id', '=', app).execute()
  for (const slug of slugs) await removeSlug(d, slug)
}

/** What a build leaves in its folder. */
async function built(content: string): Promise<{ tree: string; archive: string }> {
  const folder = join(d.config.data, 'builds', randomUUID())
  const [tree, archive] = [join(folder, 'tree'), join(folder, 'archive')]
  await mkdir(tree, { recursive: true })
  await writeFile(join(tree, 'content'), content)
  await writeFile(archive, content)
  return { tree, archive }
}

test('two apps share the files of a slug until both are gone', async () => {
  const first = await staged('share-one')
  const other = await stageApp(host, 'share-two', 'own')
  const { slug } = await copySlug(d, first, other.id)
  await insert(slug)
  assert.is(slug.files, first.files)
  await erase(first.app_id)
  assert.ok(there(slug))
  await recoverSlugs(d)
  assert.ok(there(slug), 'also after a start')
  await erase(other.id)
  assert.not.ok(existsSync(slugFolder(d.config, slug.files)))
})

test('an app that goes while another one comes to share its files: they stay whole, or the other one is told', async () => {
  for (let round = 0; round < 10; round++) {
    const first = await staged(`race-one-${round}`)
    const other = await stageApp(host, `race-two-${round}`, 'own')
    const [copied] = await Promise.allSettled([
      copySlug(d, first, other.id).then(async ({ slug }) => {
        if (round % 2) await new Promise((resolve) => setImmediate(resolve))
        await insert(slug)
        return slug
      }),
      erase(first.app_id),
    ])
    if (copied.status === 'fulfilled') assert.ok(there(copied.value))
    else assert.match(String(copied.reason), 'The files of this slug are no longer here. Deploy the app again.')
  }
})

test('files whose last slug is gone are not shared any more', async () => {
  const first = await staged('late-one')
  const other = await stageApp(host, 'late-two', 'own')
  const { slug } = await copySlug(d, first, other.id)
  await erase(first.app_id)
  await insert(slug).then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, 'no longer here'),
  )
})

test('a build whose archive some app has already keeps that one, and a tree of its own', async () => {
  const first = await staged('equal-one')
  const archive = await readFile(slugArchive(d.config, first.files))
  await d.db.updateTable('slugs').set({ size: archive.length }).where('id', '=', first.id).execute()
  const other = await stageApp(host, 'equal-two', 'own')
  const id = randomUUID()
  const slug: Slug = { ...first, id, files: id, app_id: other.id, size: archive.length }
  await keepSlug(d, slug, await built('own tree'))
  await insert(slug)
  const inode = async ({ files }: Slug) => (await stat(slugArchive(d.config, files))).ino
  assert.is(await inode(slug), await inode(first))
  assert.is(await readFile(join(slugTree(d.config, slug.files), 'content'), 'utf8'), 'own tree')
  await erase(first.app_id)
  assert.equal(await readFile(slugArchive(d.config, slug.files)), archive)
})

test('files of which a crash left no row go at the next start, those of a row stay', async () => {
  const [lost, kept] = [await staged('crash-one'), await staged('crash-two')]
  await d.db.updateTable('releases').set({ slug_id: null }).where('app_id', '=', lost.app_id).execute()
  await d.db.deleteFrom('slugs').where('id', '=', lost.id).execute()
  await recoverSlugs(d)
  assert.not.ok(existsSync(slugFolder(d.config, lost.files)))
  assert.ok(there(kept))
})

test('an equal archive that is lost is not missed', async () => {
  const id = randomUUID()
  const first = await staged('lost-one')
  const other = await stageApp(host, 'lost-two', 'own')
  const slug: Slug = { ...first, id, files: id, app_id: other.id, checksum: 'SHA256:none' }
  await insert({ ...slug, id: randomUUID(), files: 'nothing-there' }).catch(() => {})
  await keepSlug(d, slug, await built('kept'))
  assert.is(await readFile(slugArchive(d.config, id), 'utf8'), 'kept')
})

test('what an app has with the same content is found, unless its files are lost', async () => {
  const slug = await staged('found')
  assert.is((await slugWithChecksum(d, slug.app_id, slug.checksum))?.files, slug.files)
  assert.is(await slugWithChecksum(d, (await stageApp(host, 'stranger', 'own')).id, slug.checksum), undefined)
  await removeSlug(d, slug)
  assert.ok(there(slug), 'its row has them')
  await d.db.updateTable('slugs').set({ files: 'elsewhere' }).where('id', '=', slug.id).execute()
  assert.is(await slugWithChecksum(d, slug.app_id, slug.checksum), undefined)
})

test.run()
