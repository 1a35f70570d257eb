import { connect } from 'node:net'
import { call } from '../e2e/engine.ts'
import { waitFor } from '../e2e/wait.ts'

interface Inspected {
  Config: Record<string, unknown> & { Env: string[] }
  HostConfig: Record<string, unknown>
  NetworkSettings: { Networks: Record<string, { IPAddress: string }> }
}

/** What the engine alone takes for a copy of a dyno: the least that any platform on top of it can take. */
export interface Floor {
  /** Create and start. */
  start: number
  /** From there to the app's first accepted connection: the app's own boot. */
  boot: number
}

/** Measures with a copy that has none of Sluice's labels, so that the daemon leaves it alone. */
export async function measureFloor(container: string): Promise<Floor> {
  const { Config, HostConfig } = await call<Inspected>('GET', `/containers/${container}/json`)
  const began = performance.now()
  const { Id } = await call<{ Id: string }>('POST', '/containers/create', { ...Config, HostConfig, Labels: {} })
  try {
    await call('POST', `/containers/${Id}/start`)
    const started = performance.now()
    const { NetworkSettings } = await call<Inspected>('GET', `/containers/${Id}/json`)
    const host = Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? ''
    const port = Number(Config.Env.find((text) => text.startsWith('PORT='))?.slice('PORT='.length))
    await waitFor('the copy to accept a connection', () => accepts(host, port), { every: 2 })
    return { start: started - began, boot: performance.now() - started }
  } finally {
    await call('DELETE', `/containers/${Id}?force=true`)
  }
}

/** A throwaway container that does nothing, from create to removed: the least that a build takes. */
export async function measureBuildFloor(container: string): Promise<number> {
  const { Config } = await call<Inspected>('GET', `/containers/${container}/json`)
  const began = performance.now()
  const wanted = { Image: Config.Image, Entrypoint: [], Cmd: ['true'], HostConfig: { NetworkMode: 'bridge' } }
  const { Id } = await call<{ Id: string }>('POST', '/containers/create', wanted)
  await call('POST', `/containers/${Id}/start`)
  await call('POST', `/containers/${Id}/wait`)
  await call('DELETE', `/containers/${Id}?force=true`)
  return performance.now() - began
}

const accepts = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
