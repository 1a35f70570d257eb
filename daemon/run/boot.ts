import type { Clock } from '../clock.ts'
import { limits } from '../limits.ts'

/**
 * Boots of dynos take turns, because each costs seconds of CPU: when a host comes up, all dynos of all apps are to be started.
 *
 *   enter --> waiting -- its turn --> booting -- up, ended, or its time is over --> left
 *
 * Invariants: at most `most` boot at once; what waits goes on as soon as one leaves; one that takes long leaves its place to others after
 * a while, so that an app which never comes up holds up nobody; every fourth turn is that of who has waited longest, so that nobody waits
 * for ever because others come first again and again.
 */
export interface Boots {
  /** `go` is called when it is its turn, which may be now. */
  enter(boot: Boot, go: () => void): void
  /** It runs since then, ms; its time begins. Without `enter` it was started by an earlier daemon, and counts too. */
  runs(boot: Boot, since: number): void
  /** It is up, has ended, or is not wanted any more. */
  leave(id: string): void
  state(): { booting: number; waiting: number }
}

export interface Boot {
  id: string
  app: string
  /** It is up when a router reaches it; of others nobody knows. */
  web: boolean
  /** A one-off dyno boots at once, beside the others. A person waits for a deploy, or has scaled. What comes back by itself was asked for by nobody. */
  asked: 'by a client' | 'by a person' | 'by nobody'
  /** Its command must not run twice. */
  once?: boolean
}

/**
 * Whose turn it is: what people wait for before what comes back by itself, web dynos before others, then apps in turns, so that none waits
 * for a big one; `waiting` is in the order of arrival. Pure.
 */
export function next(waiting: readonly Boot[], booting: readonly Boot[]): Boot | undefined {
  const best = Math.min(...waiting.map(classOf))
  const turns = new Map<string, number>()
  const take = (app: string): number => {
    const turn = turns.get(app) ?? 0
    turns.set(app, turn + 1)
    return turn
  }
  for (const { app } of booting) take(app)
  let first: { boot: Boot; turn: number } | undefined
  for (const boot of waiting) {
    if (classOf(boot) !== best) continue
    const turn = take(boot.app)
    if (first === undefined || turn < first.turn) first = { boot, turn }
  }
  return first?.boot
}

const classOf = ({ asked, web }: Boot): number => (asked === 'by nobody' ? 2 : 0) + (web ? 0 : 1)

/** Of so many turns one goes by how long somebody has waited alone. */
const LONGEST_WAIT = 4

export function createBoots(clock: Clock, most: number): Boots {
  const waiting = new Map<string, { boot: Boot; go: () => void }>()
  const booting = new Map<string, { boot: Boot; cancel: () => void }>()

  let turns = 0

  const advance = (): void => {
    while (booting.size < most) {
      const arrived = [...waiting.values()].map(({ boot }) => boot)
      const others = [...booting.values()].map(({ boot }) => boot)
      const turn = turns % LONGEST_WAIT === LONGEST_WAIT - 1 ? arrived[0] : next(arrived, others)
      const one = turn && waiting.get(turn.id)
      if (!one) return
      turns++
      waiting.delete(one.boot.id)
      booting.set(one.boot.id, { boot: one.boot, cancel: () => {} })
      one.go()
    }
  }

  const leave = (id: string): void => {
    booting.get(id)?.cancel()
    waiting.delete(id)
    if (booting.delete(id)) advance()
  }

  return {
    enter(boot, go) {
      if (boot.asked === 'by a client') return go()
      waiting.set(boot.id, { boot, go })
      advance()
    },
    runs(boot, since) {
      if (boot.asked === 'by a client') return
      const end = since + (boot.web ? limits.boots.web : limits.boots.others)
      if (end <= clock.now()) return leave(boot.id)
      booting.get(boot.id)?.cancel()
      booting.set(boot.id, { boot, cancel: clock.at(end, () => leave(boot.id)) })
    },
    leave,
    state: () => ({ booting: booting.size, waiting: waiting.size }),
  }
}
