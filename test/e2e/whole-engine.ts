import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { appLabel, type Container, call, idLabel, listContainers, listNetworks, listVolumes } from './engine.ts'
import type { Rows } from './whole-rows.ts'

/** What the engine has for no row, and what it lacks that a row says is there. */
export async function faultsInEngine(data: string, rows: Rows): Promise<string[]> {
  const installation = (await readFile(join(data, 'installation'), 'utf8')).trim()
  const [containers, networks, volumes, building, images] = await Promise.all([
    listContainers(installation),
    listNetworks(installation),
    listVolumes(installation),
    builderContainers(installation),
    imagesOf(installation),
  ])
  return [
    ...faultsInContainers(containers, rows),
    ...building.map((id) => `the container ${id} of a build of an image is left`),
    ...faultsInVolumes(installation, volumes, rows),
    ...faultsInNetworks(installation, networks, rows),
    ...faultsInImages(images, rows),
  ]
}

const labelOf = ({ Labels }: Container, name: string): string => Labels[name] ?? ''

function faultsInContainers(containers: Container[], { dynos }: Rows): string[] {
  const running = new Set(containers.filter(({ State }) => State === 'running').map((one) => labelOf(one, idLabel)))
  const known = new Set(dynos.map(({ id }) => id))
  return [
    ...containers
      .filter((one) => !known.has(labelOf(one, idLabel)))
      .map((one) => `the container ${labelOf(one, 'sluice.kind')} ${labelOf(one, idLabel)} (${one.State}) is nobody's`),
    ...dynos
      .filter(({ id }) => !running.has(id))
      .map(({ id, type }) => `the dyno ${id} (${type}) has no running container`),
  ]
}

/** As the engine names them: `sluice-<installation>-<dyno>`. Dynos of images have none. */
function faultsInVolumes(
  installation: string,
  volumes: { Name: string }[],
  { dynos, releases, slugs }: Rows,
): string[] {
  const names = new Set(volumes.map(({ Name }) => Name))
  const nameOf = (dyno: { id: string }) => `sluice-${shortOf(installation)}-${dyno.id}`
  const isSlug = (release: string): boolean => {
    const slug = releases.find(({ id }) => id === release)?.slug_id
    return slugs.some(({ id, images }) => id === slug && images === null)
  }
  const wanted = dynos.filter(({ release_id }) => isSlug(release_id)).map(nameOf)
  return [
    ...[...names].filter((name) => !wanted.includes(name)).map((name) => `the volume ${name} is nobody's`),
    ...wanted.filter((name) => !names.has(name)).map((name) => `the volume ${name} is not there`),
  ]
}

/** One for each app that has had a dyno, and one for all builds by buildpacks. */
function faultsInNetworks(installation: string, networks: Network[], { apps, dynos }: Rows): string[] {
  const builds = `sluice-build-${shortOf(installation)}`
  const owners = networks.map(({ Labels }) => Labels[appLabel])
  return [
    ...networks
      .filter(({ Name, Labels }) => Name !== builds && !apps.some(({ id }) => id === Labels[appLabel]))
      .map(({ Name }) => `the network ${Name} is nobody's`),
    ...owners.filter((app, n) => app && owners.indexOf(app) !== n).map((app) => `the app ${app} has two networks`),
    ...apps
      .filter(({ id }) => dynos.some(({ app_id }) => app_id === id) && !owners.includes(id))
      .map(({ name }) => `${name} has no network`),
  ]
}

/** A slug holds its images, an app the layers of its last build. */
function faultsInImages(names: string[], { slugs, apps }: Rows): string[] {
  const wanted = slugs
    .filter(({ deleted_at }) => deleted_at === null)
    .flatMap(({ id, images }) => Object.keys(JSON.parse(images ?? '{}')).map((type) => `${id}:${type}`))
  const isCache = (name: string): boolean => apps.some(({ id }) => name.startsWith(`cache-${id}:`))
  return [
    ...names
      .filter((name) => !wanted.includes(name) && !isCache(name))
      .map((name) => `the image ${name} is held for nobody`),
    ...wanted.filter((name) => !names.includes(name)).map((name) => `the image ${name} is not held`),
  ]
}

type Network = Awaited<ReturnType<typeof listNetworks>>[number]

const shortOf = (installation: string): string => installation.replace(/[^a-zA-Z0-9]/g, '').slice(0, 12)

/** Without the installation's part. */
async function imagesOf(installation: string): Promise<string[]> {
  const prefix = `sluice-${installation}/`
  const filters = encodeURIComponent(JSON.stringify({ reference: [`${prefix}*`] }))
  const images = await call<{ RepoTags: string[] | null }[]>('GET', `/images/json?filters=${filters}`)
  const names = images.flatMap(({ RepoTags }) => RepoTags ?? [])
  return names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length))
}

/** Those of the engine's own builder carry no label of ours; they are on networks whose names we give. */
async function builderContainers(installation: string): Promise<string[]> {
  const all = await call<{ Id: string; HostConfig: { NetworkMode: string } }[]>('GET', '/containers/json?all=true')
  const ours = `sluice-build-${shortOf(installation)}-`
  return all.filter(({ HostConfig }) => HostConfig.NetworkMode.startsWith(ours)).map(({ Id }) => Id.slice(0, 12))
}
