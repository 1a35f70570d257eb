import { forgetApp } from '../../daemon/app/app.ts'
import type { Config } from '../../daemon/config.ts'
import type { Daemon } from '../../daemon/daemon.ts'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { failAttended, failRelease } from '../../daemon/release/failure.ts'
import { createRouters } from '../../daemon/route/control.ts'
import type { Register } from '../../daemon/route/register.ts'
import { allRoutes } from '../../daemon/route/routes.ts'
import { createBoots } from '../../daemon/run/boot.ts'
import { createCapacity } from '../../daemon/run/capacity.ts'
import { endAttached } from '../../daemon/run/oneoff.ts'
import { createPlacements, type Placements } from '../../daemon/run/placement.ts'
import { createPass } from '../../daemon/run/reconcile.ts'
import { createSettlements } from '../../daemon/run/rollout.ts'
import { createRunner } from '../../daemon/runner.ts'
import type { Seal } from '../../daemon/store/seal.ts'
import { noAcm } from '../unit/no-acm.ts'
import { noDisk } from '../unit/no-disk.ts'
import { Gate } from './gate.ts'
import type { Link, Router } from './router.ts'
import { Socket } from './socket.ts'
import { type Parts, ToldEngine } from './told-engine.ts'

export interface Place extends Parts {
  config: Config
  seal: Seal
  /** It outlives the daemon, as its file does. */
  register: Register
  /** The database. */
  path: string
  /** A line of the daemon's log. */
  said(line: string): void
  died(life: Life): void
}

const PING_EVERY = 10_000
/** At once: few enough that some wait. */
const BOOTS = 3
/** Bytes: room is not simulated here. */
const PLENTY = 2 ** 50
const unmeasured = { memoryUsed: async () => null }

/** One life of the real daemon as far as it runs apps: rows, passes, placements and the control connection, put together as in assemble.ts. */
export class Life {
  readonly d: Daemon
  readonly gate: Gate
  readonly engine: ToldEngine
  passes = 0
  private readonly placements: Placements
  private readonly sockets = new Set<Socket>()
  private readonly place: Place
  private readonly ended = new AbortController()

  constructor(place: Place) {
    this.place = place
    const { clock } = place.agenda
    this.gate = new Gate(place.path, () => this.end())
    this.engine = new ToldEngine(place)
    const db = this.gate.open()
    const log = createLog((line) => place.said(line))
    const { engine } = this.engine
    const poke = (app: string) => this.d.runner.poke(app)
    const routers = createRouters(
      { clock, log, register: place.register },
      {
        routes: (apps) => allRoutes(db, 'localhost', apps),
        ...{ pairs: async () => new Map(), challenges: () => [], changed: poke, logLine() {} },
      },
    )
    const runner = createRunner(
      (app, signal) => {
        this.passes++
        return pass(app, signal)
      },
      clock,
      log,
    )
    this.placements = createPlacements(
      { engine, clock: place.agenda.listing, log, boots: createBoots(clock, BOOTS) },
      {
        known: async () => {
          for (const { id } of await db.selectFrom('apps').select('id').execute()) poke(id)
        },
        ...{ changed: poke, seen() {}, exited() {}, exceeded() {} },
        wanted: async (ids) => {
          if (ids.length === 0) return new Set<string>()
          const rows = await db.selectFrom('dynos').select('id').where('id', 'in', ids).execute()
          return new Set(rows.map(({ id }) => id))
        },
      },
    )
    const parts: Partial<Daemon> = {
      ...{ config: place.config, seal: place.seal, settlements: createSettlements() },
      ...{ clock, log, db, engine, runner, routers },
      logs: { write() {} } as unknown as Daemon['logs'],
      collector: { tail: () => [] } as unknown as Daemon['collector'],
      disk: noDisk,
      acm: noAcm,
      capacity: createCapacity({ db, engine: unmeasured, clock, bound: undefined, poke, available: () => PLENTY }),
      stack: () => ({ run: 'run', build: 'build', origin: 'debian' }),
    }
    this.d = parts as Daemon
    const pass = createPass(this.d, this.placements, {
      erase: async ({ id }) => void (await forgetApp(db, id)),
      failRelease: (release, reason, tell) => failRelease(this.d, release, reason, { tell }),
    })
  }

  /** What main.ts does at start, as far as it is about apps. */
  async begin(): Promise<void> {
    const { d } = this
    this.ping()
    await failAttended(d)
    await endAttached(d)
    await d.routers.publish()
    await this.placements.run(this.ended.signal)
  }

  /** Null until there is somebody to answer. */
  dial(router: Router): Link | null {
    if (this.gate.closed) return null
    const socket = new Socket(router, this.place.agenda.now)
    this.sockets.add(socket)
    this.d.routers.accept(socket.webSocket)
    return socket
  }

  /** It is killed: whatever it was waiting for does not come any more. */
  private end(): void {
    this.engine.die()
    this.d.routers.close()
    this.place.died(this)
  }

  /** Lets go of the database; nothing of this life goes on. */
  async bury(): Promise<void> {
    this.gate.close()
    await this.gate.quiet()
    await this.gate.destroy()
  }

  private ping(): void {
    const { agenda } = this.place
    for (const socket of this.sockets)
      if (socket.readyState === socket.OPEN) socket.pinged(agenda.now, limits.routerSilence)
      else this.sockets.delete(socket)
    agenda.after(PING_EVERY, () => !this.gate.closed && this.ping(), true)
  }
}
