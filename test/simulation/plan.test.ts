import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { historyOf } from './draw.ts'
import { mutants } from './mutants.ts'
import { play, report, search, smallest } from './trial.ts'

/** How many histories the planner goes through, and the first. A failure names its seed, and tells the smallest history that fails in the same way. */
const count = Number(process.env.SLUICE_SIMULATION ?? 10_000)
const first = Number(process.env.SLUICE_SIMULATION_SEED ?? 1)

test('no history breaks a rule, and each comes to rest with what is wanted', async () => {
  const found = search({ first, count })
  if (found) throw new Error(report(found.seed, await smallest(found.seed, found.rule)))
})

test('a history is played in the same way each time', () => {
  for (let seed = 1; seed <= 20; seed++) assert.is(play(historyOf(seed)).world.log(), play(historyOf(seed)).world.log())
})

for (const { does, rules, planner } of mutants)
  test(`a planner that ${does} is found out, by a history that a person can follow`, async () => {
    const found = search({ first: 1, count: 1000 }, planner, rules)
    assert.ok(found, 'no history found it')
    const { events } = await smallest(found.seed, found.rule, planner)
    assert.ok(events.length <= 5, `${events.length} events`)
  })

test.run()
