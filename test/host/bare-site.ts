import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { takeBerth } from '../e2e/berth.ts'
import { type Reply, requestHost } from '../e2e/client.ts'
import { newInstallation, removeInstallation } from '../e2e/installation.ts'
import { artefact, unpacked } from './artefact.ts'
import { gateway, type Hub, startHub } from './hub.ts'
import { hostImage } from './image.ts'
import { type Machine, startBareMachine } from './machine.ts'

/** A machine that has nothing, an archive of Sluice to install on it, and what of the world outside it must be able to reach. */
export interface BareSite {
  machine: Machine
  /** The archive, unpacked; the machine has it at the same path. */
  release: string
  hub: Hub
  /** A mirror that takes requests and answers none. */
  stalling: Stalling
  http: number
  /** Of an app, at APP.apps.example.com. */
  request(app: string): Promise<Reply>
  leave(): Promise<void>
}

export async function takeBareSite(): Promise<BareSite> {
  const shelf = await mkdtemp(join(tmpdir(), `sluice-shelf-${process.pid}-`))
  const release = join(shelf, 'release')
  await unpacked(await artefact(), release)
  const installation = newInstallation()
  const berth = await takeBerth(installation)
  const { http, tls } = berth.ports
  const hub = await startHub(hostImage)
  const stalling = await startStalling()
  const machine = await startBareMachine({ 80: http, 443: tls }, [{ from: shelf, to: shelf, readOnly: true }])
  return {
    machine,
    release,
    hub,
    stalling,
    http,
    request: (app) => requestHost(http, `${app}.apps.example.com`, '/'),
    async leave() {
      await machine.stop()
      await hub.close()
      stalling.end()
      await berth.leave(() => removeInstallation(installation))
      await rm(shelf, { recursive: true })
    },
  }
}

interface Stalling {
  url: string
  /** Whether somebody waits for an answer. */
  waited(): boolean
  /** Gives everybody up who waits. */
  end(): void
}

async function startStalling(): Promise<Stalling> {
  let asked = 0
  const server = createServer(() => asked++)
  await once(server.listen(0, await gateway()), 'listening')
  const { address, port } = server.address() as AddressInfo
  return {
    url: `http://${address}:${port}`,
    waited: () => asked > 0,
    end() {
      server.close()
      server.closeAllConnections()
    },
  }
}
