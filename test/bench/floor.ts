import { chown, mkdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { DYNO_UID } from '../../daemon/engine/engine.ts'
import { call } from '../e2e/engine.ts'
import { waitFor } from '../e2e/wait.ts'

interface Inspected {
  Config: Record<string, unknown> & { Env: string[] }
  HostConfig: Record<string, unknown> & { Mounts?: Mount[] }
  NetworkSettings: { Networks: Record<string, { IPAddress: string }> }
}

interface Mount {
  Type: string
  Source: string
}

/** What the engine alone takes for a copy of a dyno: the least that any platform on top of it can take. */
export interface Floor {
  /** Create and start. */
  start: number
  /** From there to the app's first accepted connection: the app's own boot. */
  boot: number
}

/**
 * Measures with a copy that has none of Sluice's labels, so that the daemon leaves it alone, and an empty layer of its own above the slug: an
 * app that finds what it wrote at its first start boots faster.
 */
export async function measureFloor(container: string): Promise<Floor> {
  const { Config, HostConfig } = await call<Inspected>('GET', `/containers/${container}/json`)
  const layers = await Promise.all((HostConfig.Mounts ?? []).map(copyLayer))
  const Mounts = layers.map(({ mount }) => mount)
  const began = performance.now()
  const options = { ...Config, HostConfig: { ...HostConfig, Mounts }, Labels: {} }
  const { Id } = await call<{ Id: string }>('POST', '/containers/create', options)
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
    for (const { remove } of layers) await remove()
  }
}

/** Of a volume with a private layer another one, empty; any other mount as it is. */
async function copyLayer(mount: Mount): Promise<{ mount: Mount; remove(): Promise<void> }> {
  if (mount.Type !== 'volume') return { mount, remove: async () => {} }
  const { Driver, Options } = await call<{ Driver: string; Options: { o: string } }>('GET', `/volumes/${mount.Source}`)
  const [, above = ''] = /upperdir=([^,]+)/.exec(Options.o) ?? []
  const layer = `${dirname(above)}-copy`
  const [upper, work] = [join(layer, 'upper'), join(layer, 'work')]
  for (const folder of [upper, work]) await mkdir(folder, { recursive: true })
  await chown(upper, DYNO_UID, DYNO_UID)
  const o = Options.o.replace(/upperdir=.*$/, `upperdir=${upper},workdir=${work}`)
  const { Name } = await call<{ Name: string }>('POST', '/volumes/create', { Driver, DriverOpts: { ...Options, o } })
  return {
    mount: { ...mount, Source: Name },
    async remove() {
      await call('DELETE', `/volumes/${Name}`)
      await rm(layer, { recursive: true })
    },
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
