import { chown, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { removeTree } from '../remove.ts'
import { type Connection, statusOf } from './connection.ts'
import { removed } from './container.ts'
import { DYNO_UID, type DynoSpec, EngineError } from './engine.ts'
import { dynoVolume, LABEL, labelFilter, layerOf, nameOf, type Site } from './spec.ts'

/** Makes the writable /app of a dyno, above its slug's tree. Safe to repeat. */
export async function createVolume(engine: Connection, site: Site, spec: DynoSpec, tree: string): Promise<void> {
  const volume = dynoVolume(site, spec, tree)
  const { upper, work } = layerOf(site.data, spec.id)
  try {
    await mkdir(upper, { recursive: true, mode: 0o755 })
    await mkdir(work, { recursive: true, mode: 0o700 })
    await chown(upper, DYNO_UID, DYNO_UID)
    await failpoint('layer.made')
  } catch (error) {
    throw new EngineError(`The private layer of ${spec.name} could not be made below ${site.data}.`, { cause: error })
  }
  await engine.ask(`make the volume of ${spec.name}`, (docker) => docker.createVolume(volume))
  await failpoint('volume.made')
}

/** Removes it with everything that the dyno wrote. A missing one is success. */
export async function removeVolume(engine: Connection, site: Site, id: string): Promise<void> {
  const remove = () =>
    engine.ask('remove a volume', (docker) => docker.getVolume(nameOf(site.installation, id)).remove())
  // The engine (20.10) has no container any more a moment before it has none that uses the volume.
  const busy = (error: unknown) => statusOf(error) === 409 && !MISCOUNTED.test(messageOf(error))
  await removed(remove, { busy, within: LET_GO }).catch((error: unknown) => {
    if (!MISCOUNTED.test(messageOf(error))) throw error
  })
  await failpoint('volume.removed')
  await removeLayer(site, id)
}

/** ms */
const LET_GO = 10_000

/**
 * An engine that was killed and has taken its running containers over again counts their volumes twice, and refuses to remove them
 * until it is restarted (seen with 20.10). The container is gone by then; the sweep at a later start removes what is left.
 */
const MISCOUNTED = /volume has active mounts/

/** Ids of dynos that have a volume or a private layer; of one app's volumes only when `app` is given. */
export async function layeredDynos(engine: Connection, site: Site, app?: string): Promise<Set<string>> {
  const filters = { label: labelFilter(site.installation, app === undefined ? {} : { app }) }
  const { Volumes } = await engine.ask('list volumes', (docker) => docker.listVolumes({ filters }))
  const ids = new Set((Volumes ?? []).map((volume) => volume.Labels?.[LABEL.id] ?? ''))
  if (app === undefined) for (const id of await readdir(join(site.data, 'dynos')).catch(() => [])) ids.add(id)
  ids.delete('')
  return ids
}

async function removeLayer(site: Site, id: string): Promise<void> {
  const { root } = layerOf(site.data, id)
  try {
    await removeTree(root)
  } catch (error) {
    throw new EngineError(`The private layer ${root} of a dyno could not be removed.`, { cause: error })
  }
}
