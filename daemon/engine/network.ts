import type Docker from 'dockerode'
import { messageOf } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { type Connection, statusOf, unlessMissing } from './connection.ts'
import { removed } from './container.ts'
import { EngineError } from './engine.ts'
import {
  bridgeOf,
  buildBridgeOf,
  buildNetworkOf,
  imageBuildBridgeOf,
  imageBuildNetworkOf,
  LABEL,
  labelFilter,
} from './spec.ts'

export interface Networks {
  /** Makes an app's own network unless it is there. Any number of callers at once is fine. */
  ofApp(app: { id: string; name: string }, network: { name: string; subnet: string }): Promise<void>
  /** Makes the network of builds, in which they cannot reach one another, unless it is there. */
  ofBuilds(): Promise<void>
  /** Makes a network for one build of an image and tells its name: its steps are root, and could take the place of others on a common one. */
  ofImageBuild(build: string): Promise<string>
  removeOfImageBuild(build: string): Promise<void>
  /** Names of those that there are, of one build or of all. */
  ofImageBuilds(build?: string): Promise<string[]>
  remove(name: string): Promise<void>
  removeOfApp(app: string): Promise<void>
  /** For when no build runs. */
  removeOfBuilds(): Promise<void>
}

export function createNetworks(engine: Connection, installation: string): Networks {
  /** One creation at a time by name: the engine would make two networks of one name. */
  const making = new Map<string, Promise<void>>()

  const ensure = (what: string, options: Docker.NetworkCreateOptions): Promise<void> => {
    const known = making.get(options.Name)
    if (known) return known
    const made = make(engine, what, options).finally(() => making.delete(options.Name))
    making.set(options.Name, made)
    return made
  }
  // Without IPv6, also where the engine would give it to every network: the rules between networks are about IPv4.
  const common = { Driver: 'bridge', CheckDuplicate: true, EnableIPv6: false } as const
  const ofBuild = { [LABEL.installation]: installation, [LABEL.kind]: 'build' }

  return {
    ofApp: (app, { name, subnet }) =>
      ensure(`make the network ${subnet} of ${app.name}`, {
        ...common,
        Name: name,
        IPAM: { Driver: 'default', Config: [{ Subnet: subnet }] },
        Options: { 'com.docker.network.bridge.name': bridgeOf(installation, subnet) },
        Labels: { [LABEL.installation]: installation, [LABEL.app]: app.id },
      }),
    ofBuilds: () =>
      ensure('make the network of builds', {
        ...common,
        Name: buildNetworkOf(installation),
        Options: {
          'com.docker.network.bridge.enable_icc': 'false',
          'com.docker.network.bridge.name': buildBridgeOf(installation),
        },
        Labels: ofBuild,
      }),
    async ofImageBuild(build) {
      const name = imageBuildNetworkOf(installation, build)
      await ensure('make the network of a build', {
        ...common,
        Name: name,
        Options: { 'com.docker.network.bridge.name': imageBuildBridgeOf(installation, build) },
        Labels: ofBuild,
      })
      return name
    },
    removeOfImageBuild: (build) => removeWhenLeft(engine, imageBuildNetworkOf(installation, build)),
    remove: (name) => remove(engine, name),
    async ofImageBuilds(build = '') {
      const label = labelFilter(installation, { kind: 'build' })
      const found = await engine.ask('list networks', (docker) => docker.listNetworks({ filters: { label } }))
      return found.map(({ Name }) => Name).filter((name) => name.startsWith(imageBuildNetworkOf(installation, build)))
    },
    removeOfApp: (app) => removeAll(engine, labelFilter(installation, { app })),
    removeOfBuilds: () => removeAll(engine, labelFilter(installation, { kind: 'build' })),
  }
}

async function make(engine: Connection, what: string, options: Docker.NetworkCreateOptions): Promise<void> {
  const there = engine.ask(what, (docker) => docker.getNetwork(options.Name).inspect())
  if (await unlessMissing(there, null)) return
  try {
    await engine.ask(what, (docker) => docker.createNetwork(options))
    await failpoint(options.Labels?.[LABEL.app] === undefined ? 'network.of-build' : 'network.made')
  } catch (error) {
    if (statusOf(error) === 409) return
    if (error instanceof Error && /overlap/i.test(error.message)) throw overlap(options, error)
    throw error
  }
}

const overlap = (options: Docker.NetworkCreateOptions, cause: Error): EngineError =>
  new EngineError(
    `The network ${options.IPAM?.Config?.[0]?.Subnet} overlaps with another network on this host. Set SLUICE_NETWORK_POOL to a /16 that is free.`,
    { cause: cause instanceof EngineError ? cause.cause : cause },
  )

async function removeAll(engine: Connection, label: string[]): Promise<void> {
  const found = await engine.ask('list networks', (docker) => docker.listNetworks({ filters: { label } }))
  for (const { Name } of found) await remove(engine, Name)
}

const remove = (engine: Connection, name: string): Promise<void> =>
  unlessMissing(
    engine.ask(`remove the network ${name}`, (docker) => docker.getNetwork(name).remove()),
    undefined,
  )

/** A container that is just going leaves it only then. */
const removeWhenLeft = (engine: Connection, name: string): Promise<void> =>
  removed(() => remove(engine, name), { busy: (error) => IN_USE.test(messageOf(error)), within: LEFT })

const IN_USE = /has active endpoints/
/** ms */
const LEFT = 10_000
