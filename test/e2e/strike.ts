import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Failpoint, failpoints, type Strike } from '../../daemon/failpoint.ts'
import type { Failpoints } from './failpoint.ts'
import { type Case, cases } from './failpoint-case.ts'
import { startLoad, underLoad } from './load.ts'
import type { Operation, Told } from './operation.ts'
import type { Platform } from './platform.ts'
import { waitFor } from './wait.ts'
import { whole } from './whole.ts'

/** What a file of struck operations stands on. */
export interface Struck {
  platform: Platform
  points: Failpoints
  /** Apps that are requested all the time: those that are changed, and one that has nothing to do with it. */
  loaded: { app: string; right?: Parameters<typeof startLoad>[2] }[]
}

const RATE = 20

/**
 * A test for each step that an operation of the file comes to: the daemon is killed there; then, where the daemon lives on, the step finds the disk
 * full, and at one step of each operation that is undone by it, it fails otherwise. After each strike: no request failed, the platform is whole,
 * the operation is done or undone as the case says, and what was acknowledged is there. In the end each that was undone goes through; on the
 * way, what a strike leaves would keep the next from its step.
 */
export function strikeAll<File extends Case['file']>(
  struck: Struck,
  file: File,
  operations: Record<Case<File>['operation'], Operation>,
): void {
  const { platform, points } = struck
  const undone = new Set<Case<File>['operation']>()
  for (const name of Object.keys(failpoints) as Failpoint[]) {
    const one = cases[name]
    if (one.file !== file) continue
    const its = one.operation as Case<File>['operation']
    const operation = followed(operations[its])
    const strikes = strikesAt(one, !undone.has(its))
    if (one.failed === 'undone') undone.add(its)
    test(`the daemon is struck at ${name} of ${one.operation}`, () =>
      loaded(struck, async () => {
        try {
          for (const strike of strikes) {
            if (strike === 'kill') await kill(struck, name, one, operation)
            else await fail(struck, name, { strike, end: one.failed, operation })
          }
        } finally {
          // So that the next test is about its own step.
          await points.release(name)
          if (!platform.daemon.running) await platform.startDaemon()
          await operation.ended()
        }
      }))
  }
  for (const its of undone)
    test(`after all that ${its} goes through`, () => loaded(struck, () => goesThrough(platform, operations[its])))
}

/** With a way to wait until nobody performs it any more, whatever came of it. */
function followed(operation: Operation) {
  let last: Promise<unknown> = Promise.resolve()
  return {
    ready: async () => operation.ready?.(),
    inEffect: () => operation.inEffect(),
    perform(): Promise<Told> {
      const told = operation.perform()
      last = told.catch(() => {})
      return told
    },
    ended: () => last,
  }
}

/** A full disk is told in other words than what fails otherwise. */
function strikesAt({ failed }: Case, first: boolean): Strike[] {
  if (failed === null) return ['kill']
  return failed === 'undone' && first ? ['kill', 'error', 'full'] : ['kill', 'full']
}

function loaded({ platform, loaded }: Struck, work: () => Promise<void>): Promise<void> {
  const start = ({ app, right }: Struck['loaded'][number]) =>
    startLoad(platform.ports.http, `${app}.localhost`, right, RATE)
  return underLoad(Object.fromEntries(loaded.map((one) => [one.app, start(one)])), work)
}

async function kill(
  { platform, points }: Struck,
  name: Failpoint,
  { killed }: Case,
  operation: Operation,
): Promise<void> {
  await operation.ready?.()
  await points.arm(name, 'kill')
  const performing = operation.perform()
  await points.struck(name)
  await waitFor('the daemon to be dead', () => !platform.daemon.running, { every: 5 })
  await platform.startDaemon()
  const told = await performing
  await whole(platform)
  const inEffect = await operation.inEffect()
  assert.is(inEffect, killed === 'done', `killed: it is ${inEffect ? 'done' : 'undone'}`)
  if (told.done) assert.ok(inEffect, 'killed: it was acknowledged')
}

interface Failing {
  strike: Strike
  end: Case['failed']
  operation: Operation
}

const SENTENCE = /[A-Z][^.\n]{10,}\./
/** In the platform's words, or in those of the system for what the engine did. */
const FULL = /The disk of this host is full|no space left/

async function fail({ platform, points }: Struck, name: Failpoint, { strike, end, operation }: Failing): Promise<void> {
  const { pid } = platform.daemon
  await operation.ready?.()
  await points.arm(name, strike)
  const performing = operation.perform()
  await points.struck(name)
  const told = await performing
  await whole(platform)
  assert.is(platform.daemon.running && platform.daemon.pid, pid, 'the daemon lives on')
  const inEffect = await operation.inEffect()
  assert.is(inEffect, end === 'done', `${strike}: it is ${inEffect ? 'done' : 'undone'}`)
  assert.is(told.done, inEffect, `${strike}: the client was told ${told.words || 'that it is done'}`)
  if (!told.done) assert.match(told.words, strike === 'full' ? FULL : SENTENCE)
}

async function goesThrough(platform: Platform, operation: Operation): Promise<void> {
  await operation.ready?.()
  const { done, words } = await operation.perform()
  assert.ok(done, `the next one does not go through: ${words}`)
  await whole(platform)
  assert.ok(await operation.inEffect(), 'the next one is not in effect')
}
