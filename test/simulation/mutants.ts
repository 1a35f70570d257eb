import { type Plan, plan, type Seen, type Step } from '../../daemon/run/plan.ts'
import type { Planner } from './model.ts'

/** A planner with a fault that somebody might make, and the rules of which one must find it. */
export interface Mutant {
  does: string
  rules: string[]
  planner: Planner
}

/** Has the real planner see other dynos than there are. */
const blind =
  (see: (dynos: Seen[]) => Seen[]): Planner =>
  (wanted, dynos, ...rest) =>
    plan(wanted, see(dynos), ...rest)

/** Changes what the real planner has decided. */
const rash =
  (change: (made: Plan, dynos: Seen[]) => Partial<Plan>): Planner =>
  (wanted, dynos, ...rest) => {
    const made = plan(wanted, dynos, ...rest)
    return { ...made, ...change(made, dynos) }
  }

const steps = (change: (step: Step, dynos: Seen[]) => Step[]): Planner =>
  rash((made, dynos) => ({ steps: made.steps.flatMap((step) => change(step, dynos)) }))

export const mutants: Mutant[] = [
  {
    does: 'drains a web dyno as soon as its successor starts',
    rules: ['successor first', 'the last one stays'],
    planner: rash(({ steps }, dynos) => {
      const started = steps.find((step) => step.do === 'start' && step.type === 'web' && step.crashes === 0)
      const before = dynos.find(
        (dyno) =>
          started?.do === 'start' &&
          dyno.type === 'web' &&
          dyno.state === 'up' &&
          dyno.release === started.release &&
          dyno.ordinal === started.ordinal,
      )
      return { steps: before ? [...steps, { do: 'drain', dyno: before.id }] : steps }
    }),
  },
  {
    does: 'does not wait for the routers',
    rules: ['every router first'],
    planner: (wanted, ...rest) =>
      plan({ ...wanted, candidate: wanted.candidate && { ...wanted.candidate, acknowledged: true } }, ...rest),
  },
  {
    does: 'does not wait for requests that are under way',
    rules: ['nobody is sent to an end'],
    planner: blind((dynos) => dynos.map((dyno) => ({ ...dyno, drained: dyno.state === 'draining' }))),
  },
  {
    does: 'starts a worker while the one before it ends',
    rules: ['one in a slot'],
    planner: blind((dynos) => dynos.filter(({ type, state }) => type !== 'worker' || state !== 'stopping')),
  },
  {
    does: 'starts two workers at once',
    rules: ['one in a slot'],
    planner: steps((step) => (step.do === 'start' && step.type === 'worker' ? [step, step] : [step])),
  },
  {
    does: 'leaves what a failed start may have made',
    rules: ['one in a slot', 'what is wanted is there'],
    planner: blind((dynos) => dynos.map((dyno) => (dyno.state === 'crashed' ? { ...dyno, container: 'none' } : dyno))),
  },
  {
    does: 'cuts over with the first web dyno that is up',
    rules: ['whole before requests'],
    planner: blind((dynos) => {
      const one = dynos.find(({ type, state }) => type === 'web' && state === 'up')
      return dynos.map((dyno) =>
        dyno.type === 'web' && dyno.state === 'starting' && dyno.release === one?.release
          ? { ...dyno, state: 'up' }
          : dyno,
      )
    }),
  },
  {
    does: 'lets a release go on that does not boot',
    rules: ['way of a release', 'whole before requests'],
    planner: steps((step) =>
      step.do === 'fail' && step.why === 'boot' ? [{ do: 'advance', release: step.release, to: 'cutover' }] : [step],
    ),
  },
  {
    does: 'forgets to look again',
    rules: ['comes to rest', 'what is wanted is there', 'all is settled'],
    planner: rash(() => ({ wakeAt: null })),
  },
  {
    does: 'looks again and again',
    rules: ['comes to rest'],
    planner: (wanted, dynos, now, ...rest) => ({ ...plan(wanted, dynos, now, ...rest), wakeAt: now + 1000 }),
  },
  {
    does: 'never comes to an end of its steps',
    rules: ['comes to rest'],
    planner: rash(({ steps }, dynos) => {
      const up = dynos.find(({ state }) => state === 'up')
      return { steps: up && steps.length === 0 ? [{ do: 'up', dyno: up.id }] : steps }
    }),
  },
  {
    does: 'starts what crashed without a pause',
    rules: ['back-off'],
    planner: blind((dynos) => dynos.map((dyno) => ({ ...dyno, retryAt: null }))),
  },
  {
    does: 'runs a release command again that was stopped or is over',
    rules: ['release command once'],
    planner: blind((dynos) =>
      dynos.filter(({ type, state }) => type !== 'release' || state === 'starting' || state === 'up'),
    ),
  },
  {
    does: 'lets a one-off dyno drain like a web dyno',
    rules: ['one-off alone'],
    planner: steps((step, dynos) =>
      step.do === 'stop' && dynos.some(({ id, oneOff, state }) => id === step.dyno && oneOff && state === 'up')
        ? [{ do: 'drain', dyno: step.dyno }]
        : [step],
    ),
  },
  {
    does: 'ends one-off dynos with a deploy',
    rules: ['one-off alone'],
    planner: (wanted, dynos, now, ...rest) =>
      plan(
        wanted,
        wanted.candidate
          ? dynos.map((dyno) => (dyno.oneOff ? { ...dyno, oneOff: { ...dyno.oneOff, endsAt: now } } : dyno))
          : dynos,
        now,
        ...rest,
      ),
  },
  {
    does: 'stops web dynos that nothing wants without draining them',
    rules: ['drained first'],
    planner: steps((step) => (step.do === 'drain' ? [{ do: 'stop', dyno: step.dyno }] : [step])),
  },
  {
    does: 'fails a release whose dyno takes twenty seconds to boot',
    rules: ['sound releases succeed'],
    planner: (wanted, dynos, now, times, room) => plan(wanted, dynos, now, { ...times, boot: 15_000 }, room),
  },
  {
    does: 'takes the wait for a router for a slow boot',
    rules: ['sound releases succeed'],
    planner: blind((dynos) =>
      dynos.map((dyno) => ({ ...dyno, bootingSince: dyno.container === 'running' ? dyno.since : null })),
    ),
  },
]
