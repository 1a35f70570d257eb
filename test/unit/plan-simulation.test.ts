import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Candidate, type Plan, plan, type Seen, type Step, type Target } from '../../daemon/run/plan.ts'

/**
 * Two thousand seeded histories of one app: deploys, scales, restarts, crashes, slow boots, lost containers, late routers, one-off
 * dynos, a daemon that forgets what it was doing. The world below performs the steps as the daemon does; the invariants are checked after each.
 * A failing history prints its seed and its events.
 */
const HISTORIES = 2000
const EVENTS = 60
const times = { boot: 60_000, drain: 30_000, releaseCommand: 3_600_000 }

const mulberry = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

interface Release {
  id: string
  version: number
  state: Candidate['state'] | 'succeeded' | 'failed'
  commands: Record<string, string>
  /** A release that is broken crashes before it listens. */
  broken: boolean
  releaseCommand: 'none' | 'passes' | 'fails'
}

class World {
  readonly random: () => number
  now = 1_000_000
  quantity: Record<string, number> = { web: 1, worker: 0 }
  releases: Release[] = []
  dynos: Seen[] = []
  /** What the routers follow; behind the rows until they have acknowledged. */
  routed: string | null = null
  log: string[] = []
  ids = 0
  /** Nothing fails any more and nothing is slow, except what is broken. */
  calm = false

  constructor(seed: number) {
    this.random = mulberry(seed)
  }

  get serving(): Release | undefined {
    return this.releases.filter(({ state }) => state === 'succeeded').at(-1)
  }

  get candidate(): Release | undefined {
    return this.releases.find(({ state }) => state !== 'succeeded' && state !== 'failed')
  }

  target(release: Release): Target {
    const processes = Object.entries(release.commands).flatMap(([type, command]) => {
      const quantity = this.quantity[type] ?? 0
      return quantity > 0 ? [{ type, command, size: 'Basic', quantity }] : []
    })
    return { release: release.id, version: release.version, processes }
  }

  plan(): Plan {
    const { serving, candidate } = this
    const wanted = {
      serving: serving ? this.target(serving) : null,
      candidate: candidate
        ? {
            ...this.target(candidate),
            state: candidate.state as Candidate['state'],
            command: candidate.releaseCommand === 'none' ? null : 'migrate',
            acknowledged:
              this.routed === candidate.id || this.target(candidate).processes.every((p) => p.type !== 'web'),
          }
        : null,
      destroyed: false,
    }
    return plan(wanted, this.dynos, this.now, times)
  }

  settle(): void {
    for (let round = 0; round < 200; round++) {
      const { steps } = this.plan()
      if (steps.length === 0) return
      for (const step of steps) this.perform(step)
      this.check()
    }
    throw new Error('the plan does not come to rest')
  }

  perform(step: Step): void {
    this.log.push(JSON.stringify(step))
    if (step.do === 'start') {
      const { release, type, ordinal, size, crashes } = step
      const id = `${type}.${ordinal}#${this.ids++}`
      const times = { createdAt: this.now, bootingSince: null, since: this.now, retryAt: null, exitCode: null }
      const facts = { container: 'none', healthy: false, drained: false, replace: false, oneOff: null } as const
      this.dynos.push({ id, release, type, ordinal, size, crashes, state: 'starting', ...times, ...facts })
      return
    }
    if (step.do === 'advance' || step.do === 'fail') {
      const release = this.releases.find(({ id }) => id === step.release)
      if (release) release.state = step.do === 'fail' ? 'failed' : step.to
      return
    }
    const dyno = this.dynos.find(({ id }) => id === step.dyno)
    if (!dyno) throw new Error(`a step for a dyno that is not there: ${step.dyno}`)
    this.performOn(step, dyno)
  }

  performOn(step: Exclude<Step, { do: 'start' | 'advance' | 'fail' }>, dyno: Seen): void {
    const to = (state: Seen['state']) => Object.assign(dyno, { state, since: this.now })
    if (step.do === 'launch') {
      assert.not(dyno.oneOff?.awaitsClient, `${dyno.id} is launched although its client has not come`)
      dyno.container = 'pending'
    } else if (step.do === 'up') to('up')
    else if (step.do === 'ended') to('down')
    else if (step.do === 'crashed') {
      if (step.why === 'boot timeout') dyno.container = 'exited'
      Object.assign(to('crashed'), { crashes: dyno.crashes + 1, retryAt: this.now + dyno.crashes * 10_000 })
    } else if (step.do === 'drain') this.drain(dyno)
    else this.stop(dyno)
  }

  drain(dyno: Seen): void {
    assert.is(dyno.oneOff, null, `${dyno.id} is a one-off and is drained`)
    const { serving } = this
    const wanted = serving && this.target(serving).processes.find(({ type }) => type === 'web')
    if (serving && wanted && dyno.ordinal <= wanted.quantity && !dyno.drained) {
      const successor = this.dynos.some(
        (other) =>
          other !== dyno &&
          other.release === serving.id &&
          other.ordinal === dyno.ordinal &&
          other.type === 'web' &&
          other.state === 'up',
      )
      assert.ok(successor, `${dyno.id} is drained although nobody else is up in its slot`)
    }
    Object.assign(dyno, { state: 'draining', since: this.now })
  }

  stop(dyno: Seen): void {
    if (dyno.oneOff && (dyno.state === 'up' || dyno.state === 'starting'))
      assert.ok(this.now >= dyno.oneOff.endsAt, `${dyno.id} is stopped before its time`)
    else if (dyno.state === 'up') assert.is.not(dyno.type, 'web', `${dyno.id} is stopped without having been drained`)
    if (dyno.state === 'draining')
      assert.ok(
        dyno.drained || this.now - dyno.since >= times.drain || dyno.container !== 'running',
        `${dyno.id} is stopped before its requests have ended`,
      )
    if (dyno.container === 'none' || dyno.container === 'failed') this.dynos.splice(this.dynos.indexOf(dyno), 1)
    else if (dyno.container !== 'pending') Object.assign(dyno, { state: 'stopping', container: 'pending' })
    else Object.assign(dyno, { state: 'stopping' })
  }

  /** What holds at every moment, whatever happened before. */
  check(): void {
    const running = this.dynos.filter(
      (dyno) => dyno.container === 'running' && dyno.type !== 'web' && dyno.type !== 'release' && !dyno.oneOff,
    )
    const slots = new Set(running.map(({ type, ordinal }) => `${type}.${ordinal}`))
    assert.is(slots.size, running.length, 'two dynos of a type that is not web run in one slot')
    const open = this.releases.filter(({ state }) => ['phase', 'booting', 'cutover'].includes(state))
    assert.ok(open.length <= 1, 'two releases roll out at once')
  }

  event(): void {
    const dice = this.random()
    const pick = <T>(list: T[]): T | undefined => list[Math.floor(this.random() * list.length)]
    if (dice < 0.1) this.push()
    else if (dice < 0.16) this.quantity.web = Math.floor(this.random() * 4)
    else if (dice < 0.2) this.quantity.worker = Math.floor(this.random() * 3)
    else if (dice < 0.24)
      for (const dyno of this.dynos) if (['up', 'starting', 'crashed'].includes(dyno.state)) dyno.replace = true
    if (dice >= 0.24 && dice < 0.3) this.exit(pick(this.dynos.filter(({ container }) => container === 'running')), 1)
    if (dice >= 0.3 && dice < 0.32) this.lose(pick(this.dynos.filter(({ container }) => container === 'running')))
    if (dice >= 0.32 && dice < 0.36) this.forget()
    if (dice >= 0.36 && dice < 0.42) this.now += Math.floor(this.random() * 70_000)
    if (dice >= 0.42 && dice < 0.46) this.runOneOff()
    if (dice >= 0.46 && dice < 0.48) this.meet(pick(this.dynos.filter(({ oneOff }) => oneOff?.awaitsClient)))
    if (dice >= 0.48) this.world()
    this.now += Math.floor(this.random() * 2000)
  }

  push(): void {
    const version = this.releases.length + 1
    const commands: Record<string, string> = { web: 'serve' }
    if (this.random() < 0.6) commands.worker = 'work'
    if (this.random() < 0.1) delete commands.web
    const releaseCommand = this.random() < 0.7 ? 'none' : this.random() < 0.7 ? 'passes' : 'fails'
    this.releases.push({
      id: `v${version}`,
      version,
      state: 'waiting',
      commands,
      broken: this.random() < 0.25,
      releaseCommand,
    })
    this.log.push(`push v${version}`)
  }

  /** Of any type, also of one that the formation has, with a client or without. */
  runOneOff(): void {
    const release = this.serving
    if (!release) return
    const type = ['run', 'web', 'worker'][Math.floor(this.random() * 3)] ?? 'run'
    const endsAt = this.now + Math.floor(this.random() * 600_000)
    this.dynos.push({
      ...{
        id: `${type}#${this.ids++}`,
        release: release.id,
        type,
        ordinal: 1000 + this.ids,
        size: 'Basic',
        crashes: 0,
      },
      ...{ state: 'starting', createdAt: this.now, bootingSince: null, since: this.now, retryAt: null, exitCode: null },
      ...{ container: 'none', healthy: false, drained: false, replace: false },
      oneOff: { endsAt, awaitsClient: this.random() < 0.3 },
    })
    this.log.push(`run ${type}`)
  }

  meet(dyno: Seen | undefined): void {
    if (dyno?.oneOff) dyno.oneOff = { ...dyno.oneOff, awaitsClient: false }
  }

  /** Engine and routers do what they were told, one thing at a time and in any order. */
  world(): void {
    const pending = this.dynos.filter(({ container }) => container === 'pending')
    const dyno = pending[Math.floor(this.random() * pending.length)]
    if (dyno) {
      if (dyno.state === 'stopping' && (this.calm || this.random() < 0.9))
        this.dynos.splice(this.dynos.indexOf(dyno), 1)
      else {
        dyno.container = !this.calm && this.random() < 0.05 ? 'failed' : 'running'
        dyno.bootingSince = dyno.type === 'web' ? this.now : null
      }
    }
    for (const dyno of this.dynos.filter(({ container }) => container === 'running')) this.behave(dyno)
    if (this.calm || this.random() < 0.5)
      this.routed = this.candidate?.state === 'cutover' ? this.candidate.id : (this.serving?.id ?? null)
  }

  behave(dyno: Seen): void {
    const release = this.releases.find(({ id }) => id === dyno.release)
    if (dyno.oneOff) {
      if (this.random() < 0.2) this.exit(dyno, 0)
    } else if (dyno.type === 'release') this.exit(dyno, release?.releaseCommand === 'fails' ? 1 : 0)
    else if (release?.broken && dyno.state === 'starting') this.exit(dyno, 1)
    else if (dyno.state === 'starting') dyno.healthy = this.calm || this.random() < 0.7
    else if (dyno.state === 'draining') dyno.drained = this.calm || this.random() < 0.5
  }

  exit(dyno: Seen | undefined, exitCode: number): void {
    if (dyno) Object.assign(dyno, { container: 'exited', exitCode })
  }

  lose(dyno: Seen | undefined): void {
    if (dyno) dyno.container = 'none'
  }

  /** The daemon restarts: it no longer knows what it had told the engine. */
  forget(): void {
    for (const dyno of this.dynos)
      if (dyno.container === 'pending') dyno.container = dyno.state === 'stopping' ? 'running' : 'none'
    for (const dyno of this.dynos) dyno.drained = false
  }

  /** Lets everything that is under way come to its end. */
  quiesce(): void {
    this.calm = true
    for (let turn = 0; turn < 400; turn++) {
      this.world()
      this.settle()
      this.now += 5000
    }
  }
}

function history(seed: number): World {
  const world = new World(seed)
  try {
    for (let event = 0; event < EVENTS; event++) {
      world.event()
      world.settle()
    }
    world.quiesce()
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${world.log.slice(-40).join('\n')}`)
  }
  return world
}

test('no history breaks an invariant, and each ends with exactly one release serving in full', () => {
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const world = history(seed)
    const where = `seed ${seed}`
    assert.is(world.candidate, undefined, `${where}: a release is still on its way`)
    const { serving } = world
    if (!serving) {
      assert.is(world.dynos.length, 0, `${where}: dynos are left although nothing ever succeeded`)
      continue
    }
    if (serving.broken) continue
    const wanted = world
      .target(serving)
      .processes.flatMap((p) => Array.from({ length: p.quantity }, (_, n) => `${p.type}.${n + 1}`))
    const there = world.dynos.map(({ type, ordinal }) => `${type}.${ordinal}`)
    assert.equal(there.sort(), wanted.sort(), `${where}: the formation is not what is wanted`)
    for (const dyno of world.dynos) assert.is(dyno.release, serving.id, `${where}: ${dyno.id} is of another release`)
  }
})

test.run()
