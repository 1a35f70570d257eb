import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Rows } from './whole-rows.ts'

/** What is below the data folder for no row and no documented purpose, and what a row says is there and is not. */
export async function faultsInFiles(data: string, rows: Rows): Promise<string[]> {
  const faults = await Promise.all([
    faultsAtTop(data),
    faultsInRepositories(data, rows),
    ...folders(rows).map(({ folder, known, wanted }) => faultsInFolder(data, folder, { known, wanted })),
    ...rows.slugs.map((slug) => faultsInSlug(data, slug, runs(rows, slug))),
    faultsInCaches(data),
  ])
  return faults.flat()
}

interface Named {
  /** Of what may be there. */
  known: (string | RegExp)[]
  /** Of what must be. */
  wanted?: string[] | undefined
}

const UUID = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'

function folders(rows: Rows): (Named & { folder: string })[] {
  const ids = (table: { id: string }[]) => table.map(({ id }) => id)
  const apps = ids(rows.apps)
  const slugs = rows.slugs.filter(({ images, files }) => images === null && files !== '')
  const built = rows.builds.filter(({ status }) => status === 'succeeded')
  const isSlug = (dyno: { release_id: string }): boolean =>
    slugs.some(({ id }) => id === rows.releases.find((release) => release.id === dyno.release_id)?.slug_id)
  const sources = rows.sources.flatMap(({ id, checksum }) => (checksum === null ? [] : [`${id}.${checksum}`]))
  return [
    { folder: 'builds', known: [] },
    { folder: 'cache', known: apps },
    { folder: 'logs', known: apps },
    ...apps.map((app) => ({ folder: join('logs', app), known: ['current', 'previous'] })),
    { folder: 'slugs', known: slugs.map(({ files }) => files) },
    ...slugs.map(({ files }) => ({ folder: join('slugs', files), known: ['archive.tar.zst', 'tree', 'unsettled'] })),
    { folder: 'sources', known: sources, wanted: sources },
    { folder: 'buildpacks', known: [/^[0-9a-f]{64}-\w+\.tar$/, /^[0-9a-f]{64}\.json$/] },
    {
      folder: 'transcripts',
      known: [...ids(rows.builds).map((id) => `build-${id}`), ...ids(rows.releases).map((id) => `release-${id}`)],
      wanted: ids(built).map((id) => `build-${id}`),
    },
    { folder: 'dynos', known: ids(rows.dynos), wanted: ids(rows.dynos.filter(isSlug)) },
    { folder: 'backups', known: [/^sluice-\d{8}T\d{6}Z\.tar\.zst(\.encrypted)?$/] },
    { folder: 'snapshot', known: [] },
    { folder: 'hooks', known: ['pre-receive'] },
    { folder: 'tls', known: ['ca.key', 'ca.pem', 'cert.pem', 'key.pem'] },
    { folder: join('registry', 'storage', 'docker', 'registry', 'v2', 'repositories'), known: apps },
  ]
}

async function faultsInFolder(data: string, folder: string, { known, wanted = [] }: Named): Promise<string[]> {
  const names = await list(join(data, folder))
  const isKnown = (name: string): boolean =>
    known.some((one) => (typeof one === 'string' ? one === name : one.test(name)))
  return [
    ...names.filter((name) => !isKnown(name)).map((name) => `${join(folder, name)} is nobody's`),
    ...wanted.filter((name) => !names.includes(name)).map((name) => `${join(folder, name)} is not there`),
  ]
}

/** All names that the table in daemon/README.md has, and what SQLite keeps beside its file. */
async function faultsAtTop(data: string): Promise<string[]> {
  const readme = await readFile(resolve(import.meta.dirname, '..', '..', '..', 'daemon', 'README.md'), 'utf8')
  const [, table = ''] = readme.split('## The data folder')
  const documented = [...table.matchAll(/^\| (.+?) \|/gm)].flatMap(([, names = '']) =>
    [...names.matchAll(/`([^`]+?)\/?`/g)].map(([, name = '']) => name),
  )
  return faultsInFolder(data, '', { known: [...documented, 'sluice.db-wal', 'sluice.db-shm'] })
}

/** One for each app that was pushed to, with nothing in it of a push that did not end. */
async function faultsInRepositories(data: string, { apps, builds }: Rows): Promise<string[]> {
  const pushed = builds.filter(({ status, source_url }) => status === 'succeeded' && source_url === null)
  const faults = await faultsInFolder(data, 'repos', {
    known: apps.map(({ id }) => `${id}.git`),
    wanted: [...new Set(pushed.map(({ app_id }) => `${app_id}.git`))],
  })
  for (const name of await list(join(data, 'repos')))
    for (const path of await readdir(join(data, 'repos', name), { recursive: true }))
      if (/\.lock$|^objects\/(tmp_|incoming-)/.test(path)) faults.push(`repos/${name}/${path} is left`)
  return faults
}

type Slug = Rows['slugs'][number]

/** A dyno of it lives. */
const runs = ({ dynos, releases }: Rows, slug: Slug): boolean =>
  dynos.some(({ release_id }) => releases.some(({ id, slug_id }) => id === release_id && slug_id === slug.id))

/** Its archive is the one that was promised; it is unpacked when dynos run it. Of one that is deleted nothing need be there. */
async function faultsInSlug(data: string, slug: Slug, runs: boolean): Promise<string[]> {
  if (slug.images !== null || slug.archive !== 'ready' || slug.deleted_at !== null) return []
  const folder = join('slugs', slug.files)
  const names = await list(join(data, folder))
  const missing = ['archive.tar.zst', ...(runs ? ['tree'] : [])].filter((name) => !names.includes(name))
  if (missing.length > 0) return missing.map((name) => `${join(folder, name)} is not there`)
  // What a client sent is packed anew.
  if (slug.key === '') return []
  const archive = await readFile(join(data, folder, 'archive.tar.zst'))
  const checksum = `SHA256:${createHash('sha256').update(archive).digest('hex')}`
  return checksum === slug.checksum ? [] : [`the archive of the slug ${slug.id} is ${checksum}, not ${slug.checksum}`]
}

/** A cache of buildpacks and its copy for the next build, by app and stack. */
async function faultsInCaches(data: string): Promise<string[]> {
  const faults: string[] = []
  for (const app of await list(join(data, 'cache')))
    for (const stack of await list(join(data, 'cache', app)))
      faults.push(
        ...(await faultsInFolder(data, join('cache', app, stack), {
          known: ['kept', 'next', new RegExp(`^unsettled-${UUID}$`), new RegExp(`^spare-${UUID}$`)],
        })),
      )
  return faults
}

const list = (folder: string): Promise<string[]> =>
  readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
