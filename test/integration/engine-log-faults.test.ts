import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createDockerEngine } from '../../daemon/engine/docker.ts'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { createCollector } from '../../daemon/logs/collect.ts'
import { createLogs } from '../../daemon/logs/logs.ts'
import { type Fault, openEngineProxy } from '../e2e/engine-proxy.ts'
import { waitFor } from '../e2e/wait.ts'
import { createDockerRig } from '../engine/docker-rig.ts'
import { appOf } from '../engine/rig.ts'

/** The engine refuses to give the output of a dyno, breaks off, or never begins: no line is lost, and none is there twice. */
const rig = await createDockerRig(17)
const { id: app, spec } = appOf(rig)
const silent = createLog(() => {})
const logs = createLogs({ data: rig.data }, silent)
const direct = rig.engine()
test.after(async () => {
  await direct.removeApp(app)
  await logs.close()
  await rig.close()
})

/** Longer than what a busy machine takes for an honest answer. */
Object.assign(limits, { engineAnswer: 8000 })

const LINES = 200
const all = Array.from({ length: LINES }, (_, n) => `line ${n + 1}`)
/** More than one line an answer, and less than all in one. */
const prints = `for n in $(seq ${LINES}); do echo "line $n"; [ $((n % 20)) != 0 ] || sleep 0.1; done`

const faults: { fault: Fault; nth: number; when: string }[] = [
  { fault: 'error', nth: 1, when: 'the first time that it is asked' },
  { fault: 'hang', nth: 1, when: 'the first time that it is asked' },
  { fault: 'lost', nth: 1, when: 'until the dyno has ended' },
  { fault: 'half', nth: 1, when: 'in the middle of a line' },
  { fault: 'half', nth: 2, when: 'when it is read to the end' },
]

for (const { fault, nth, when } of faults)
  test(`the output of a dyno that the engine answers with ${fault} ${when} is in the log, each line once and in order`, async () => {
    const proxy = await openEngineProxy()
    const { installation, data } = rig
    const engine = createDockerEngine({ socket: proxy.settings.SLUICE_ENGINE, installation, data, log: silent })
    const strike = proxy.strike('GET /containers/*/logs', fault, nth)
    const collector = createCollector(engine, logs, silent)
    const dyno = spec(prints, { name: `web.${fault}-${nth}` })
    const lines = () => logs.recent(app, { dyno: dyno.name }, LINES * 2).map(({ text }) => text)
    try {
      await direct.start(dyno)
      collector.follow({ id: dyno.id, app, name: dyno.name, since: 0 })
      await waitFor('the last line', () => lines().includes(`line ${LINES}`))
      await waitFor('the strike', () => strike.done)
      await collector.settled(dyno.id)
      assert.equal(lines(), all)
    } finally {
      proxy.heal()
      await collector.close()
      await proxy.close()
    }
  })

test.run()
