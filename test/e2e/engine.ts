import { request } from 'node:http'

/** The Docker engine's own view, over its socket and past Sluice, so that a test sees what is really there. */
export interface Container {
  Id: string
  Image: string
  State: string
  Labels: Record<string, string>
}

export const socketPath = process.env.SLUICE_ENGINE || '/var/run/docker.sock'

/** Carried by every container, network and volume of one platform. */
export const installationLabel = 'sluice.installation'
export const appLabel = 'sluice.app'
export const idLabel = 'sluice.id'
export const typeLabel = 'sluice.type'

const filters = (installation: string) =>
  `filters=${encodeURIComponent(JSON.stringify({ label: [`${installationLabel}=${installation}`] }))}`

export const listContainers = (installation: string) =>
  call<Container[]>('GET', `/containers/json?all=true&${filters(installation)}`)

export const listNetworks = (installation: string) =>
  call<{ Id: string; Name: string; Labels: Record<string, string> }[]>('GET', `/networks?${filters(installation)}`)

export const listVolumes = async (installation: string) =>
  (await call<{ Volumes: { Name: string }[] | null }>('GET', `/volumes?${filters(installation)}`)).Volumes ?? []

/** With layers that no name holds. */
export const listImages = (label: string) =>
  call<{ Id: string; RepoTags: string[] | null }[]>(
    'GET',
    `/images/json?all=true&filters=${encodeURIComponent(JSON.stringify({ label: [label] }))}`,
  )

/** Makes an empty file in a container, as its user: what waits for that goes on. */
export async function touch({ Id }: Pick<Container, 'Id'>, path: string): Promise<void> {
  const made = await call<{ Id: string }>('POST', `/containers/${Id}/exec`, { Cmd: ['touch', path] })
  await call('POST', `/exec/${made.Id}/start`, { Detach: true })
}

/** A refusal by the engine. */
export class EngineAnswer extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** One call of the engine's API; rejects with its own words. */
export const call = <Answer>(method: string, path: string, body?: unknown): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const asked = request({ socketPath, method, path: `/v1.41${path}`, headers, timeout: 60_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', reject)
      response.on('end', () => {
        const status = response.statusCode ?? 0
        if (status >= 400) reject(new EngineAnswer(status, `${method} ${path}: ${status} ${text}`))
        else resolve((text === '' ? undefined : JSON.parse(text)) as Answer)
      })
    })
    asked.on('timeout', () => asked.destroy(new Error(`the engine did not answer ${method} ${path}`)))
    asked.on('error', reject)
    asked.end(body === undefined ? undefined : JSON.stringify(body))
  })
