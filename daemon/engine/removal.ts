import { type Connection, connect, statusOf } from './connection.ts'
import { removeContainer } from './container.ts'
import { lowerFirewall } from './firewall.ts'
import { imageNameOf, LABEL, labelFilter } from './spec.ts'

/*
 * node removal.js SOCKET INSTALLATION: takes away what an installation that no longer runs has in an engine, and its firewall. Its data is
 * not touched. The stack images go too, unless there is another installation. Safe to repeat; what somebody holds on to is told.
 */

/** What has the label of an installation, or the name of one. */
interface Things {
  containers: string[]
  networks: string[]
  volumes: string[]
  images: string[]
}

async function main([socket, installation]: string[]): Promise<void> {
  if (!socket || !installation) throw new Error('It takes: SOCKET INSTALLATION.')
  const engine = connect(socket)
  await lowerFirewall(installation)
  const { containers, networks, volumes, images } = await thingsOf(engine, installation)
  for (const id of containers) await removeContainer(engine, id)
  const refused = [
    ...(await removed(networks, (id) => engine.ask('remove a network', (docker) => docker.getNetwork(id).remove()))),
    ...(await removed(volumes, (id) => engine.ask('remove a volume', (docker) => docker.getVolume(id).remove()))),
    ...(await removed(images, (id) => engine.ask('remove an image', (docker) => docker.getImage(id).remove()))),
  ]
  if (await isLast(engine)) refused.push(...(await removeStacks(engine)))
  for (const reason of refused) process.stdout.write(`${reason}\n`)
}

async function thingsOf(engine: Connection, installation: string): Promise<Things> {
  const label = labelFilter(installation)
  const [containers, networks, { Volumes }, images] = await Promise.all([
    engine.ask('list containers', (docker) => docker.listContainers({ all: true, filters: { label } })),
    engine.ask('list networks', (docker) => docker.listNetworks({ filters: { label } })),
    engine.ask('list volumes', (docker) => docker.listVolumes({ filters: { label } })),
    engine.ask('list images', (docker) => docker.listImages()),
  ])
  const prefix = imageNameOf(installation, '')
  return {
    containers: containers.map(({ Id }) => Id),
    networks: networks.map(({ Id }) => Id),
    volumes: (Volumes ?? []).map(({ Name }) => Name),
    images: images.flatMap(({ RepoTags }) => RepoTags ?? []).filter((tag) => tag.startsWith(prefix)),
  }
}

/** Tells why what stays stays; a missing one is success. */
async function removed(ids: string[], remove: (id: string) => Promise<unknown>): Promise<string[]> {
  const reasons: string[] = []
  for (const id of ids)
    await remove(id).catch((error: Error) => {
      if (statusOf(error) !== 404) reasons.push(error.message)
    })
  return reasons
}

/** Whether no other installation has anything that runs or could. */
async function isLast(engine: Connection): Promise<boolean> {
  const label = [LABEL.installation]
  const [containers, networks] = await Promise.all([
    engine.ask('list containers', (docker) => docker.listContainers({ all: true, filters: { label } })),
    engine.ask('list networks', (docker) => docker.listNetworks({ filters: { label } })),
  ])
  return containers.length + networks.length === 0
}

/** Made by us: Heroku's own were pulled and may be of use to others. */
async function removeStacks(engine: Connection): Promise<string[]> {
  const filters = JSON.stringify({ label: ['sluice.stack'] })
  const images = await engine.ask('list images', (docker) => docker.listImages({ filters }))
  const names = images.flatMap(({ RepoTags }) => RepoTags ?? [])
  return removed(names, (name) => engine.ask(`remove the image ${name}`, (docker) => docker.getImage(name).remove()))
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`removal: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})
