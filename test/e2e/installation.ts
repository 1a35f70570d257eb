import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { lowerFirewall } from '../../daemon/engine/firewall.ts'
import { call, type EngineAnswer, installationLabel } from './engine.ts'
import { waitFor } from './wait.ts'

/**
 * Tests' installations are named after the process that they belong to, so that what is in the engine can be told from what is a
 * developer's own, and is known to be left behind when that process is gone.
 */
export const newInstallation = (): string => `${randomUUID().slice(0, 8)}-test-${process.pid}`

const OWNER = /-test-(\d+)$/

/** Something that carries an installation's label; an image has it in its name. */
export interface Thing {
  kind: 'container' | 'network' | 'volume' | 'image'
  /** By which the engine knows it. */
  id: string
  name: string
  installation: string
}

/** What the processes of tests that are gone have left in the engine; of one of them when `owner` is given. */
export async function leftBehind(owner?: number): Promise<Thing[]> {
  return (await things()).filter(({ installation }) => {
    const pid = OWNER.exec(installation)?.[1]
    return pid !== undefined && (owner === undefined || Number(pid) === owner) && !existsSync(`/proc/${pid}`)
  })
}

/** What the engine has refused for so many ms, at every look, is taken for something that it will not give up. */
const PATIENCE = 10_000
const LOOK = 200

/**
 * Removes all that an installation has in the engine, and its firewall. Resolves with true when nothing of it is left, with false when the engine holds on to
 * something for nobody: 20.10 may count the endpoints of a network wrong when many containers start and end at once, and the mounts of a
 * volume when it is killed (daemon/engine/volume.ts), and removes neither before it is started again.
 */
export async function removeInstallation(installation: string): Promise<boolean> {
  await lowerFirewall(installation)
  const refused = new Map<string, number>()
  const held = new Set<string>()
  await waitFor(
    `nothing of the installation ${installation} to be left in the engine`,
    async () => {
      for (const round of rounds(await things(installation)))
        for (const { id, held: its } of await Promise.all(round.map(remove))) {
          if (!its) refused.delete(id)
          else if (!refused.has(id)) refused.set(id, Date.now())
          else if (Date.now() - (refused.get(id) ?? 0) > PATIENCE) held.add(id)
        }
      const left = (await things(installation)).filter(({ id }) => !held.has(id))
      if (left.length > 0) throw new Error(left.map(described).join(', '))
      return true
    },
    { within: 120_000, every: LOOK },
  )
  return held.size === 0
}

export const described = ({ kind, name }: Thing): string => `${kind} ${name}`

/** A network has to wait for the containers in it, a volume too. */
const rounds = (all: Thing[]): Thing[][] => [
  all.filter(({ kind }) => kind === 'container'),
  all.filter(({ kind }) => kind !== 'container'),
]

/** Asks for one removal; tells whether the engine refused although nobody uses the thing. */
async function remove({ kind, id }: Thing): Promise<{ id: string; held: boolean }> {
  const query = { container: '?force=true&v=true', network: '', volume: '?force=true', image: '' }[kind]
  try {
    await call('DELETE', `/${kind}s/${id}${query}`)
  } catch (error) {
    const { status, message } = error as EngineAnswer
    if (/active mounts/.test(message)) return { id, held: true }
    if (/active endpoints/.test(message)) return { id, held: await isEmpty(id) }
    // gone, or being removed by somebody else; 500: a mount is held by a process that is just ending
    if (![404, 409, 500].includes(status)) throw error
  }
  return { id, held: false }
}

const isEmpty = (network: string): Promise<boolean> =>
  call<{ Containers: object | null }>('GET', `/networks/${network}`).then(
    ({ Containers }) => Object.keys(Containers ?? {}).length === 0,
    () => false,
  )

const IMAGE = /^sluice-([0-9a-f-]+(?:-test-\d+)?)\//

interface Listed {
  Id: string
  Name: string
  Names: string[]
  Labels: Record<string, string>
}

/** Everything of this installation, or of any. */
export async function things(installation?: string): Promise<Thing[]> {
  const label = installation === undefined ? installationLabel : `${installationLabel}=${installation}`
  const filters = `filters=${encodeURIComponent(JSON.stringify({ label: [label] }))}`
  const [containers, networks, volumes, images] = await Promise.all([
    call<Listed[]>('GET', `/containers/json?all=true&${filters}`),
    call<Listed[]>('GET', `/networks?${filters}`),
    call<{ Volumes: Listed[] | null }>('GET', `/volumes?${filters}`),
    call<{ RepoTags: string[] | null }[]>('GET', '/images/json'),
  ])
  const tags = images.flatMap(({ RepoTags }) => RepoTags ?? [])
  const thing = (kind: Thing['kind'], { Id, Name, Names, Labels }: Listed): Thing => ({
    kind,
    id: Id ?? Name,
    name: Name ?? Names[0]?.slice(1) ?? Id,
    installation: Labels[installationLabel] ?? '',
  })
  return [
    ...containers.map((one) => thing('container', one)),
    ...networks.map((one) => thing('network', one)),
    ...(volumes.Volumes ?? []).map((one) => thing('volume', one)),
    ...tags.flatMap((name) => {
      const its = IMAGE.exec(name)?.[1]
      const wanted = its !== undefined && (installation === undefined || its === installation.toLowerCase())
      return wanted ? [{ kind: 'image' as const, id: name, name, installation: its }] : []
    }),
  ]
}
