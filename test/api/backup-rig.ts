import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { type Restore, restore } from '../../daemon/backup/restore.ts'
import { slugFolder } from '../../daemon/store/slug-path.ts'
import { createImageStore, createMemoryImages, imageOf } from '../engine/memory-images.ts'
import { pushBranch, slugsOf, stageApp } from './pipeline-rig.ts'
import { startTeam } from './team-rig.ts'

/** Keys, and what else is a file at the top. */
export const keys = {
  installation: 'one-of-a-kind',
  'seal.key': 'k'.repeat(32),
  'tls/ca.key': 'authority',
  'drains.json': '{}',
}

export const blob = join('registry', 'storage', 'docker', 'registry', 'v2', 'blobs', 'sha256', 'ab', 'data')

interface Line {
  done?: number
  of?: number
  backup?: { name: string; size: number; encrypted: boolean }
  error?: { message: string }
  /** Of an answer that is a refusal. */
  message?: string
}

/** A platform that has of each kind something which a restored one must have; images are in memory. */
export async function startBackups() {
  const team = await startTeam()
  const { host, good } = team
  const { d } = host
  const { data } = d.config
  const folder = await mkdtemp(join(tmpdir(), 'sluice-restore-'))
  const engine = createImageStore()
  const memory = createMemoryImages(engine)
  Object.assign(d.engine, { images: memory })
  await d.backups.start()

  const shop = await stageApp(host, 'shop', 'version 1')
  await stageApp(host, 'shop', 'version 2')
  const commit = await pushBranch(host, shop, 'main', { Procfile: 'web: serve\n' })
  await mkdir(join(data, 'tls'))
  for (const [name, text] of Object.entries(keys)) await writeFile(join(data, name), text, { mode: 0o600 })
  await mkdir(join(data, blob, '..'), { recursive: true })
  await writeFile(join(data, blob), 'a layer')
  await mkdir(join(data, 'registry', 'storage', 'docker', 'registry', 'v2', 'repositories'), { recursive: true })
  const image = imageOf()
  const boxed = await stageApp(host, 'boxed', 'nothing')
  const [box] = await slugsOf(host, boxed)
  const held = `${box?.id}:web`
  await d.db
    .updateTable('slugs')
    .set({ files: '', images: JSON.stringify({ web: { id: image.id, command: null } }) })
    .where('app_id', '=', boxed.id)
    .execute()
  await rm(slugFolder(d.config, box?.id ?? ''), { recursive: true })
  const transcript = `release-${(await d.db.selectFrom('releases').select('id').executeTakeFirstOrThrow()).id}`
  const output = await d.transcripts.open(transcript)
  output.write('all is well\n')
  await output.end()
  for (const left of ['cache', 'builds', 'dynos', 'sources']) {
    await mkdir(join(data, left), { recursive: true })
    await writeFile(join(data, left, 'left'), 'left')
  }

  const headers = () => ({
    accept: 'application/vnd.heroku+json; version=3',
    authorization: `Bearer ${host.token}`,
  })
  const make = async (): Promise<{ status: number; lines: Line[] }> => {
    const answer = await fetch(`${host.url}/sluice/backups`, { method: 'POST', headers: headers() })
    const lines = (await answer.text()).split('\n').filter(Boolean)
    return { status: answer.status, lines: lines.map((line) => JSON.parse(line)) }
  }
  /** The engine has the image, and holds it for the app that runs it. */
  const holdImage = (): void => {
    engine.images.set(image.id, image)
    engine.names.set(held, image.id)
  }
  holdImage()
  return {
    ...team,
    ...{ d, data, folder, engine, memory, shop, boxed, commit, image, held, transcript, headers, make, holdImage },
    async made() {
      const { status, lines } = await make()
      const { backup, error } = lines.at(-1) ?? {}
      assert.ok(status === 200 && backup, error?.message ?? JSON.stringify(lines))
      return { ...backup, path: join(d.config.backups.folder, backup.name) }
    },
    names: async (): Promise<string[]> =>
      (await good('GET', '/sluice/backups')).backups.map(({ name }: { name: string }) => name),
    /** Restores into a fresh folder, with an engine that has nothing. */
    async restoreTo(name: string, path: string, change: Partial<Restore> = {}) {
      const store = createImageStore()
      const to = join(folder, name)
      const images = async () => createMemoryImages(store)
      const asked = { config: { data: to }, passphrase: undefined, images, tell() {}, ...change }
      return { to, store, manifest: await restore(path, asked) }
    },
    async stop() {
      await d.backups.close()
      await host.close()
      await rm(folder, { recursive: true })
    },
  }
}

export const refusal = (work: Promise<unknown>): Promise<string> => work.then(() => 'it went through', String)
