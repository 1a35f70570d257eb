import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Account, accountNamed, ensureAdmin } from '../../daemon/account/account.ts'
import { type App, createApp } from '../../daemon/app/app.ts'
import { type Config, readConfig } from '../../daemon/config.ts'
import type { Daemon } from '../../daemon/daemon.ts'
import { messageOf } from '../../daemon/errors.ts'
import { createLog } from '../../daemon/log.ts'
import { openRegister, type Register } from '../../daemon/route/register.ts'
import { openDatabase } from '../../daemon/store/database.ts'
import { createSeal } from '../../daemon/store/seal.ts'
import { Agenda } from './agenda.ts'
import { befall } from './befall.ts'
import { perform } from './command.ts'
import { Eye, writeJournal } from './eye.ts'
import { type Code, type Command, type Event, type History, told } from './history.ts'
import { Life } from './life.ts'
import { Machine } from './machine.ts'
import { times } from './model.ts'
import { Router } from './router.ts'
import type { Specs } from './told-engine.ts'
import { Broken, Witness } from './witness.ts'

const seal = createSeal(Buffer.alloc(32, 1))
/** Release commands may take an hour each, one after the other. */
const REST = 24 * 60 * 60_000
const RELIST = 40_000
/** Queries that a step of the planner takes, about. */
const QUERIES_PER_STEP = 5
const KILL_WITHIN = 5000

const unfailing = { name: 'passes do not fail', says: 'A pass does not fail, whatever the engine does.' }
const restless = { name: 'comes to rest', says: 'When faults end, everything comes to rest in bounded time.' }

/** What all histories begin with: a database with an administrator and an app. In memory where the machine has such a disk. */
export interface Beginning {
  folder: string
  app: App
  account: Account
  config: Config
}

export async function begin(): Promise<Beginning> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'sluice-simulation-'))
  const config = readConfig({
    SLUICE_DATA: folder,
    SLUICE_ADMIN_TOKEN: 'token',
    SLUICE_ADMIN_EMAIL: 'admin@example.com',
  })
  const path = join(folder, 'first.db')
  const db = await openDatabase(path)
  const clock = new Agenda().clock
  const d = { config, db, clock, seal, logs: { write() {} }, runner: { poke() {} } } as unknown as Daemon
  await ensureAdmin(d)
  const account = await accountNamed(db, 'admin@example.com')
  if (!account) throw new Error('there is no administrator')
  const app = await createApp(d, account, { name: 'app' })
  await db.destroy()
  await writeJournal(path)
  return { folder, app, account, config }
}

export const end = ({ folder }: Beginning): void => rmSync(folder, { recursive: true, force: true })

/** The same as World with the real daemon: `createPass`, placements, steps, rollouts, the control connection, over a real database. */
export class RealWorld {
  private readonly agenda = new Agenda()
  private readonly beginning: Beginning
  private readonly witness: Witness
  private readonly machine: Machine
  private readonly routers: Router[]
  private readonly codes: Code[] = []
  private readonly said: { at: number; line: string }[] = []
  private readonly path: string
  private readonly specs: Specs = new Map()
  private readonly register: Register
  private life: Life | undefined
  private readonly dead: Life[] = []
  private eye: Eye | undefined
  /** What was broken where nobody could be told. */
  private broken: unknown
  private readonly spoil: (d: Daemon) => void

  /** `spoil` plants a fault in each daemon. */
  constructor(history: History, beginning: Beginning, spoil: (d: Daemon) => void = () => {}) {
    const { agenda } = this
    this.spoil = spoil
    this.beginning = beginning
    this.register = openRegister(undefined, { log: createLog(() => {}), clock: agenda.clock })
    this.path = join(beginning.folder, 'sluice.db')
    const surroundings = {
      agenda,
      dial: (router: Router) => this.life?.dial(router) ?? null,
      listensFrom: (id: string) => this.machine.boxes.get(id)?.listensFrom,
      followed: () => {},
    }
    this.routers = Array.from({ length: history.routers }, (_, index) => new Router(String(index), surroundings))
    const listed = (router: Router) => this.life?.d.routers.list().find(({ id }) => id === router.name)
    this.witness = new Witness({
      time: () => agenda.now,
      now: agenda.clock.now,
      container: (id) => this.machine.boxes.get(id),
      containers: () => this.machine.boxes.values(),
      routers: this.routers,
      daemon: () => this.life !== undefined,
      crowded: () => false,
      behind: (router) => listed(router)?.behind ?? 1,
    })
    this.machine = new Machine(agenda, {
      failed: () => this.witness.excuse(),
      made: (box) => this.note(() => this.witness.made(box)),
      exited: (box) => this.life?.engine.exited(box),
    })
  }

  /** Throws `Broken`. */
  async play({ events }: History): Promise<void> {
    for (const left of ['', '-wal', '-shm']) rmSync(this.path + left, { force: true })
    copyFileSync(join(this.beginning.folder, 'first.db'), this.path)
    const db = await openDatabase(this.path)
    this.eye = new Eye({ db, seal }, this.witness, {
      // what was made in the moment in which the daemon was killed is seen afterwards
      sound: (slug) => this.life !== undefined && isSound(this.codes[Number.parseInt(slug, 10)]),
      told: (line) => this.say(line),
    })
    try {
      this.boot()
      for (const router of this.routers) router.connect()
      for (const event of events) {
        const at = this.agenda.now + event.after
        await this.until(() => (this.agenda.next ?? Number.POSITIVE_INFINITY) > at)
        this.agenda.now = at
        this.say(`** ${told(event)}`)
        this.happen(event)
        await this.look()
      }
      await this.rest()
    } finally {
      this.life?.gate.close()
      for (const life of this.dead) await life.bury()
      await db.destroy()
    }
  }

  log(): string {
    return this.said.map(({ at, line }) => `${String(at).padStart(8)} ms  ${line}`).join('\n')
  }

  private async rest(): Promise<void> {
    this.say('** all faults end')
    this.machine.starts.length = 0
    this.machine.ends.length = 0
    for (const router of this.routers) router.calm()
    if (this.life) this.life.gate.left = Number.POSITIVE_INFINITY
    for (const { type, release, code } of this.specs.values())
      if (type === 'web' && this.witness.releases.get(release.id)?.state === 'succeeded')
        this.codeOf(code.command ?? '').boot = 'well'
    const relisted = this.agenda.now + RELIST
    await this.until(() => this.agenda.now > relisted)
    const end = this.agenda.now + REST
    await this.until(() => this.agenda.quiet || this.agenda.now > end)
    if (!this.agenda.quiet) throw new Broken(restless, `${REST} ms later something is still under way`)
    this.witness.rest()
  }

  private async until(done: () => boolean): Promise<void> {
    while (!done()) {
      this.agenda.step()
      await this.look()
    }
  }

  /** When nothing goes on any more: what has become of it. */
  private async look(): Promise<void> {
    for (const life of [...this.dead, this.life]) await life?.gate.quiet()
    for (const life of this.dead.splice(0)) await life.bury()
    await this.eye?.look()
    this.note(() => this.witness.look(times.drain))
    if (this.broken) throw this.broken
  }

  /** For what is called by those who would swallow it. */
  private note(see: () => void): void {
    try {
      see()
    } catch (error) {
      this.broken ??= error
    }
  }

  private say(line: string): void {
    this.said.push({ at: this.agenda.now, line })
  }

  /** A line of the daemon's log. */
  private hear(line: string): void {
    this.say(line)
    if (line.includes('"pass failed"')) this.broken ??= new Broken(unfailing, line)
  }

  private codeOf(command: string): Code {
    const code = this.codes[Number.parseInt(command, 10)]
    if (!code) throw new Error(`nobody knows what ${command} is`)
    return code
  }

  private boot(): void {
    const { agenda, machine, specs, beginning } = this
    this.life = new Life({
      ...{ agenda, machine, specs, seal, register: this.register, path: this.path, config: beginning.config },
      codeOf: (command) => this.codeOf(command),
      said: (line) => this.hear(line.replace(/"at":"[^"]*",/, '').trim()),
      ending: (id) => {
        const box = machine.boxes.get(id)
        if (box?.running) this.note(() => this.witness.ending(box))
      },
      died: (life) => this.died(life),
    })
    this.spoil(this.life.d)
    this.say('the daemon starts')
    this.life.begin().catch((error: unknown) => this.say(`the daemon: ${messageOf(error)}`))
  }

  private died(life: Life): void {
    if (this.life !== life) return
    this.say('the daemon is killed')
    this.life = undefined
    this.dead.push(life)
    this.machine.abandon()
    for (const release of this.witness.releases.values()) release.sound = false
    for (const router of this.routers) if (router.link) router.disconnect()
  }

  private kill(steps: number, downFor: number): void {
    if (!this.life) return
    this.life.gate.left = steps * QUERIES_PER_STEP
    this.agenda.after(steps === 0 ? 0 : KILL_WITHIN, () => {
      this.life?.gate.close()
      this.agenda.after(downFor, () => {
        if (!this.life) this.boot()
      })
    })
  }

  private happen(event: Event): void {
    switch (event.what) {
      case 'push':
      case 'abandon':
      case 'config':
      case 'rollback':
      case 'scale':
      case 'resize':
      case 'restart':
      case 'stop':
      case 'run':
      case 'meet':
      case 'leave':
      case 'maintenance':
      case 'destroy':
        this.ask(event)
        return
      case 'room':
        return
      default: {
        const { agenda, machine, routers, witness } = this
        befall(event, { agenda, machine, routers, witness, kill: (...when) => this.kill(...when), leave() {} })
      }
    }
  }

  /** A request to the API; what it is refused for is said. */
  private ask(command: Command): void {
    if (!this.life || this.witness.destroyed) return
    const { codes, witness, beginning } = this
    perform(command, this.life.d, { codes, witness, ...beginning }).catch((error: unknown) =>
      this.say(`refused: ${messageOf(error)}`),
    )
  }
}

const isSound = (code: Code | undefined): boolean =>
  code !== undefined &&
  (code.boot === 'well' || code.boot === 'slow') &&
  (code.command === 'none' || code.command === 'passes')
