import { type Connection, statusOf, unlessMissing } from './connection.ts'
import { EngineError } from './engine.ts'
import { LABEL } from './spec.ts'

/** A bridge that only its members share. `subnet` undefined leaves the choice to the engine. `open`: members reach one another. */
export interface Network {
  name: string
  subnet: string | undefined
  open: boolean
  labels: Record<string, string>
}

/** Makes the network unless it is there; several callers at once make one. */
export async function ensureNetwork(engine: Connection, network: Network): Promise<void> {
  const found = await unlessMissing(
    engine.ask('look up a network', (docker) => docker.getNetwork(network.name).inspect()),
    undefined,
  )
  if (found) return
  try {
    await engine.ask(`make the network ${network.name}`, (docker) =>
      docker.createNetwork({
        Name: network.name,
        Driver: 'bridge',
        CheckDuplicate: true,
        Labels: network.labels,
        Options: { 'com.docker.network.bridge.enable_icc': String(network.open) },
        ...(network.subnet === undefined ? {} : { IPAM: { Config: [{ Subnet: network.subnet }] } }),
      }),
    )
  } catch (error) {
    if (statusOf(error) === 409) return
    if (/overlap/i.test((error as Error).message))
      throw new EngineError(
        `The network ${network.subnet} overlaps with another on this host. Set SLUICE_NETWORK_POOL to a /16 that is free.`,
        { cause: error },
      )
    throw error
  }
}

/** Removes the networks of an app. */
export async function removeNetworks(engine: Connection, installation: string, app: string): Promise<void> {
  const filters = { label: [`${LABEL.installation}=${installation}`, `${LABEL.app}=${app}`] }
  const networks = await engine.ask('list networks', (docker) => docker.listNetworks({ filters }))
  for (const { Id } of networks)
    await unlessMissing(
      engine.ask('remove a network', (docker) => docker.getNetwork(Id).remove()),
      undefined,
    )
}
