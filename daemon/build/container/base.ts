import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Daemon } from '../../daemon.ts'
import { EngineError, EngineGone } from '../../engine/engine.ts'
import { invalid } from '../../errors.ts'
import { createTargets } from '../../logs/drain/target.ts'
import { withRoom } from '../disk.ts'
import type { Output } from '../output.ts'
import { fetchNoted, touchBase } from './base-image.ts'
import { basesOf, imagesOfTrigger } from './dockerfile.ts'
import type { Context } from './source.ts'

interface Bases {
  path: string
  context: Context
  args: Record<string, string>
  output: Output
  signal: AbortSignal
}

/**
 * What the host does not have is fetched before the build: so it is known why it cannot be, and what it would do to the build. Resolves with
 * all that the build begins with, as the engine knows them.
 */
export async function fetchBases(d: Daemon, { path, context, args, output, signal }: Bases): Promise<string[]> {
  const { images } = d.engine
  const used: string[] = []
  const fetchMissing = async (image: string): Promise<void> => {
    const reference = referenceOf(image)
    used.push(reference)
    if (await images.inspect(image)) await touchBase(d, reference)
    else await fetchNoted(d, reference, () => fetchBase(d, { image, output, signal }))
  }
  for (const base of basesOf(path, context.text, args)) {
    await fetchMissing(base)
    const { config } = (await images.inspect(base)) ?? {}
    for (const trigger of config?.onBuild ?? [])
      for (const image of imagesOfTrigger(trigger, `The image ${base} (ONBUILD)`)) await fetchMissing(image)
  }
  return used
}

const referenceOf = (image: string): string => (/[:@][^/]*$/.test(image) ? image : `${image}:latest`)

interface Wanted {
  image: string
  output: Output
  signal: AbortSignal
}

async function fetchBase(d: Daemon, { image, output, signal }: Wanted): Promise<string> {
  const { images } = d.engine
  output.write(`Pulling ${image}\n`)
  const [host = ''] = image.split('/')
  // Docker takes what comes before the first slash for a host by these signs.
  if (image.includes('/') && /[.:]/.test(host)) await requireRegistry(d, host)
  try {
    return await withRoom(images, signal, (end) => images.pull(referenceOf(image), { signal: end }))
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof EngineError) || error instanceof EngineGone) throw error
    throw invalid(
      `The base image ${image} is not on this host and could not be fetched. Check its name, and whether this host reaches its registry.\n${error.message}`,
    )
  }
}

/**
 * Throws UserError for a registry (`host` or `host:port`) that is where log drains may not go: users choose the host, and the engine
 * connects, to addresses of loopback without TLS. Resolves with whether it has an address here: where it has none, the engine may have a proxy.
 */
export async function requireRegistry(d: Pick<Daemon, 'config'>, registry: string): Promise<boolean> {
  const host = registry.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  const targets = createTargets(d.config.networkPool, d.config.drainAllow)
  if (targets.allowsHost(host)) return true
  const addresses = isIP(host)
    ? [host]
    : await lookup(host, { all: true }).then(
        (all) => all.map(({ address }) => address),
        () => [],
      )
  const refused = addresses.find((address) => !targets.allowsAddress(address))
  if (refused !== undefined)
    throw invalid(
      `${host} is not one that images may be fetched from: ${refused} is an address of this machine or of its own networks.`,
    )
  return addresses.length > 0
}
