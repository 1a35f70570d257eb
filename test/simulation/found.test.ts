import { test } from 'uvu'
import { type Code, type Event, story } from './history.ts'
import { play } from './trial.ts'

/** Histories that have broken a rule once, each for a fault of its own. */
const web: Code = { web: true, worker: false, command: 'none', boot: 'well' }
const push = (code: Partial<Code> = {}): Event => ({
  after: 0,
  what: 'push',
  code: { ...web, ...code },
  attended: false,
})
const lag = (ms: number): Event => ({ after: 0, what: 'lag', router: 0, ms })

const found: Record<string, Event[]> = {
  'ps:restart between cutover and acknowledgement leaves the new release serving until its successors are up': [
    push(),
    lag(9000),
    { after: 20_000, what: 'restart', pick: null },
  ],
  'ps:type between cutover and acknowledgement does so too': [
    push(),
    { after: 0, what: 'resize', type: 'web', large: true },
    lag(400),
    { after: 2000, what: 'resize', type: 'web', large: false },
  ],
  'scaling down while the dyno that stays has crashed keeps another until it is back': [
    push(),
    { after: 0, what: 'scale', type: 'web', to: 2 },
    { after: 2000, what: 'exit', pick: 0, unseen: false },
    { after: 100, what: 'scale', type: 'web', to: 1 },
  ],
  'a spare dyno that alone is up does not make room for the one that is to come, for which there is none': [
    push(),
    { after: 2000, what: 'scale', type: 'web', to: 2 },
    { after: 1, what: 'exit', pick: 0, unseen: false },
    { after: 261, what: 'room', places: 0 },
    { after: 0, what: 'exit', pick: 1, unseen: false },
    { after: 973, what: 'scale', type: 'web', to: 1 },
    { after: 9206, what: 'restart', pick: 1 },
    { after: 1, what: 'wait' },
  ],
  'a release command that is stopped is not run again': [
    push({ command: 'passes' }),
    { after: 60, what: 'stop', pick: 0 },
  ],
  'a worker whose start seemed to fail is gone before the next one runs': [
    push({ worker: true }),
    { after: 53, what: 'start', fate: 'unheard', ms: 0 },
    { after: 0, what: 'scale', type: 'worker', to: 1 },
    { after: 1700, what: 'wait' },
  ],
  'a crash in cutover when nobody else is up leaves the new release serving with the dynos that are': [
    push(),
    { after: 1500, what: 'exit', pick: 0, unseen: true },
    push({ boot: 'slow' }),
    { after: 19_980, what: 'lag', router: 0, ms: 3000 },
    { after: 14_970, what: 'resize', type: 'web', large: true },
    { after: 400, what: 'exit', pick: 2, unseen: true },
    { after: 3000, what: 'exit', pick: 2, unseen: true },
  ],
}

const foundWithTwo: Record<string, Event[]> = {
  'a cutover waits for a router that loses its connection until it follows': [
    push(),
    { after: 10, what: 'cut', router: 0, ms: 2000 },
  ],
  'a daemon that is killed in a cutover waits for all routers that it had': [
    push(),
    { after: 3000, what: 'cut', router: 0, ms: 10_000 },
    push(),
    { after: 0, what: 'kill', steps: 5, ms: 100 },
  ],
}

for (const [index, histories] of [found, foundWithTwo].entries())
  for (const [name, events] of Object.entries(histories))
    test(name, () => {
      const history = { routers: index + 1, serial: false, events }
      const { broken, world } = play(history)
      if (broken) throw new Error(`${broken.message}\n${story(history)}\n${world.log()}`)
    })

test.run()
