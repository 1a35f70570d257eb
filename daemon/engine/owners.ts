import type { Connection } from './connection.ts'
import { removeContainer } from './container.ts'
import { containers } from './dyno.ts'
import { buildRepository, type Images, type Owners } from './engine.ts'
import { sweepImageBuilds } from './image-build.ts'
import type { Networks } from './network.ts'
import { imageBuildNetworkOf, LABEL, labelFilter, type Site } from './spec.ts'
import { layeredDynos } from './volume.ts'

interface Parts {
  engine: Connection
  site(): Promise<Site>
  networks: Networks
  images: Images
}

/** From containers, networks, volumes, layers, and names that hold images. */
export async function listOwners({ engine, site, networks, images }: Parts): Promise<Owners> {
  const here = await site()
  const label = labelFilter(here.installation)
  const [apps, builds] = [new Set<string>(), new Set<string>()]
  const dynos = await layeredDynos(engine, here)
  for (const { Labels } of await containers(engine, label)) {
    if (Labels[LABEL.kind] !== 'build') apps.add(Labels[LABEL.app] ?? '')
    const owners = Labels[LABEL.kind] === 'build' ? builds : dynos
    owners.add(Labels[LABEL.id] ?? '')
  }
  const all = await engine.ask('list networks', (docker) => docker.listNetworks({ filters: { label } }))
  for (const { Labels } of all) apps.add(Labels?.[LABEL.app] ?? '')
  const prefix = imageBuildNetworkOf(here.installation, '')
  for (const name of await networks.ofImageBuilds()) builds.add(name.slice(prefix.length, prefix.length + UUID))
  for (const name of await images.kept())
    if (name.startsWith(buildRepository(''))) builds.add(name.slice(buildRepository('').length).replace(/:.*$/, ''))
  for (const owners of [apps, dynos, builds]) owners.delete('')
  return { apps, dynos, builds }
}

/** The network of an image's build is named after it and the image: `<build>-<name>`. */
const UUID = 36

/** Removes what a build has left. A missing one is success. */
export async function removeBuild(parts: Parts, build: string): Promise<void> {
  const { installation } = await parts.site()
  for (const { Id } of await containers(parts.engine, labelFilter(installation, { kind: 'build', id: build })))
    await removeContainer(parts.engine, Id)
  await sweepImageBuilds(parts, build)
}
