import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { appLabel, type Container, idLabel, listContainers } from './engine.ts'
import { waitFor } from './wait.ts'

export interface Release {
  id: string
  version: number
  description: string
  status: 'pending' | 'succeeded' | 'failed' | 'expired'
  current: boolean
}

export interface Dyno {
  id: string
  name: string
  type: string
  state: string
  release: { version: number }
}

export type Api = <Answer = unknown>(method: string, path: string, body?: unknown) => Promise<Answer>

/** What can be seen of apps: by the API, and in the engine past it. */
export interface View {
  releases(app: string): Promise<Release[]>
  dynos(app: string): Promise<Dyno[]>
  /** The release, once it has succeeded, failed, or been superseded. */
  settled(app: string, version: number): Promise<Release>
  /** Those of one app, builds too, or of all. */
  containers(app?: string): Promise<Container[]>
  /** Resolves when the container of a dyno that is not up yet runs. */
  booting(app: string): Promise<Container>
}

export function createView(api: Api, data: string): View {
  const releases = (app: string) => api<Release[]>('GET', `/apps/${app}/releases`)
  const dynos = (app: string) => api<Dyno[]>('GET', `/apps/${app}/dynos`)
  const containers: View['containers'] = async (app) => {
    const all = await listContainers((await readFile(join(data, 'installation'), 'utf8')).trim())
    if (app === undefined) return all
    const { id } = await api<{ id: string }>('GET', `/apps/${app}`)
    return all.filter(({ Labels }) => Labels[appLabel] === id)
  }
  const settled = async (app: string, version: number) => {
    const release = (await releases(app)).find((release) => release.version === version)
    return release && release.status !== 'pending' ? release : null
  }
  const booting = async (app: string) => {
    const starting = (await dynos(app)).filter(({ state }) => state === 'starting').map(({ id }) => id)
    const running = (await containers()).filter(({ State }) => State === 'running')
    return running.find(({ Labels }) => starting.includes(Labels[idLabel] ?? ''))
  }
  return {
    releases,
    dynos,
    containers,
    settled: (app, version) =>
      waitFor(`v${version} of ${app} to succeed or fail`, () => settled(app, version), { within: 90_000 }),
    booting: (app) => waitFor(`a dyno of ${app} to boot`, () => booting(app), { every: 5 }),
  }
}
