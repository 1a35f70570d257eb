import type { Agenda } from './agenda.ts'
import type { Fault } from './history.ts'
import type { Machine } from './machine.ts'
import type { Router } from './router.ts'
import type { Witness } from './witness.ts'

/** What a fault befalls. */
export interface Ground {
  agenda: Agenda
  machine: Machine
  routers: Router[]
  witness: Witness
  /** The daemon is killed after so many further steps, at the latest soon, and is back after so many ms. */
  kill(steps: number, downFor: number): void
  /** Others leave memory for so many small dynos. */
  leave(places: number): void
}

export function befall(fault: Fault, ground: Ground): void {
  const { machine, agenda, witness } = ground
  const router = 'router' in fault ? pick(ground.routers, fault.router) : undefined
  switch (fault.what) {
    case 'wait':
      return
    case 'exit':
    case 'lose': {
      const box = pick(
        [...machine.boxes.values()].filter(({ running }) => running),
        fault.pick,
      )
      if (!box) return
      witness.excuse()
      witness.taken(box.id)
      if (fault.what === 'exit') machine.exit(box.id, 1, fault.unseen)
      else machine.remove(box.id)
      return
    }
    case 'reboot':
      return reboot(fault, ground)
    case 'start':
      machine.starts.push(fault)
      return
    case 'end':
      machine.ends.push(fault)
      return
    case 'kill':
      return ground.kill(fault.steps, fault.ms)
    case 'cut':
      return router?.disconnect(fault.ms)
    case 'lag':
      if (router) router.lag = fault.ms
      return
    case 'silence':
      return router?.silence(fault.ms)
    case 'bounce':
      return router?.kill(fault.ms)
    case 'request': {
      const served = (router?.route?.backends ?? []).filter(({ mode }) => mode === 'serve')
      const backend = pick(served, fault.pick)
      if (backend && router?.running) router.request(backend.id, fault.ms)
      return
    }
    case 'room':
      witness.tight = true
      return ground.leave(fault.places)
    case 'jump':
      witness.excuse()
      witness.excused = true
      agenda.offset += fault.ms
      return
    default:
      return fault satisfies never
  }
}

function reboot({ gone, ms }: { gone: boolean; ms: number }, { machine, routers, witness, kill }: Ground): void {
  witness.excuse()
  witness.excused = true
  for (const router of routers) router.kill(ms)
  kill(0, ms)
  for (const id of [...machine.boxes.keys()])
    if (gone) {
      witness.taken(id)
      machine.remove(id)
    } else machine.exit(id, 255, true)
}

/** One of a list, whatever the number. */
export const pick = <T>(list: readonly T[], index: number): T | undefined => list[index % list.length]
