import type { Server } from 'node:net'
import { call, type EngineAnswer, installationLabel } from './engine.ts'
import { firstFree, hold, type Ports } from './ports.ts'
import { waitFor } from './wait.ts'

/** A place on this machine for one platform, while others run: ports and networks that nobody else has. */
export interface Berth {
  ports: Ports
  /** A /16 that was free in the engine. */
  pool: string
  /**
   * Gives it back, when the engine has no network in it any more: asks `clear` to see to that until it is so, or until that says that
   * it cannot; then nobody else gets this berth.
   */
  leave(clear: () => Promise<boolean>): Promise<void>
}

/** 10.214.0.0/16 and so on. */
const FIRST_POOL = 214
const BERTHS = 36
/** Below the ephemeral range: a connection of the load must not take the daemon's port while the daemon is down. */
const FIRST_PORT = 30_000
const PORTS_EACH = 60

/** A berth is held by listening on the first of its ports, so it is given back whatever ends the process. */
export async function takeBerth(installation: string): Promise<Berth> {
  const start = Math.floor(Math.random() * BERTHS)
  for (let n = 0; n < BERTHS; n++) {
    const number = (start + n) % BERTHS
    const first = FIRST_PORT + number * PORTS_EACH
    const held = await hold(first)
    if (held === undefined) continue
    const pool = `10.${FIRST_POOL + number}.0.0/16`
    if (await isFree(pool, installation)) return berth(held, { first, pool, installation })
    held.close()
  }
  throw new Error(`none of the ${BERTHS} networks from 10.${FIRST_POOL}.0.0/16 on is free in the engine`)
}

async function berth(held: Server, at: { first: number; pool: string; installation: string }): Promise<Berth> {
  const [api = 0, http = 0, tls = 0] = await firstFree(3, at.first + 1, PORTS_EACH - 1)
  return {
    ports: { api, http, tls },
    pool: at.pool,
    async leave(clear) {
      await waitFor(`the networks of ${at.pool} to be gone`, async () => {
        const cleared = await clear()
        return !cleared || isFree(at.pool, at.installation)
      })
      held.close()
    },
  }
}

/** Asks the engine for all of it: the engine alone knows what it is making for a client that has gone, and will only list afterwards. */
async function isFree(pool: string, installation: string): Promise<boolean> {
  const wanted = {
    Name: `sluice-berth-${installation}`,
    Driver: 'bridge',
    IPAM: { Driver: 'default', Config: [{ Subnet: pool }] },
    Labels: { [installationLabel]: installation },
  }
  try {
    const { Id } = await call<{ Id: string }>('POST', '/networks/create', wanted)
    await call('DELETE', `/networks/${Id}`)
    return true
  } catch (error) {
    if (/overlap/i.test((error as EngineAnswer).message)) return false
    throw error
  }
}
