import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Boot, createBoots, next } from '../../daemon/run/boot.ts'
import { createStillClock } from './still-clock.ts'

const boot = (app: string, name: string, asked: Boot['asked'] = 'by nobody'): Boot => ({
  id: `${app} ${name}`,
  app,
  web: name.startsWith('web'),
  asked,
})

/** In which order all of them boot when one boots at a time, and is up before the next. */
function order(arrived: Boot[]): string[] {
  const waiting = [...arrived]
  const done: string[] = []
  for (let first = next(waiting, []); first; first = next(waiting, [])) {
    done.push(first.id)
    waiting.splice(waiting.indexOf(first), 1)
  }
  return done
}

function open(most: number) {
  const clock = createStillClock()
  const went: string[] = []
  const boots = createBoots(clock, most)
  const enter = (...all: Boot[]) => {
    for (const one of all) boots.enter(one, () => went.push(one.id))
  }
  return { clock, boots, went, enter }
}

test('web dynos boot before others, of all apps', () => {
  const arrived = [boot('a', 'worker.1'), boot('a', 'web.1'), boot('b', 'clock.1'), boot('b', 'web.1')]
  assert.equal(order(arrived), ['a web.1', 'b web.1', 'a worker.1', 'b clock.1'])
})

test('what people wait for goes before what comes back by itself, its workers too', () => {
  const arrived = [boot('a', 'web.1'), boot('b', 'worker.1', 'by a person'), boot('c', 'web.1', 'by a person')]
  assert.equal(order(arrived), ['c web.1', 'b worker.1', 'a web.1'])
})

test('apps take turns: none waits for a big one', () => {
  const big = [1, 2, 3, 4].map((n) => boot('big', `web.${n}`))
  const waiting = [...big, boot('small', 'web.1')]
  assert.is(next(waiting, [boot('big', 'web.0')])?.id, 'small web.1')
  assert.is(next([...big, boot('small', 'web.2')], [boot('small', 'web.1'), boot('big', 'web.0')])?.id, 'big web.1')
  assert.is(next([], []), undefined)
})

test('at most so many boot at once, and one that is up, or has gone, makes room for the next', () => {
  const { boots, went, enter } = open(2)
  enter(...['a', 'b', 'c', 'd', 'e'].map((app) => boot(app, 'web.1')))
  assert.equal(went, ['a web.1', 'b web.1'])
  boots.leave('d web.1')
  assert.is(went.length, 2)
  boots.leave('a web.1')
  boots.leave('a web.1')
  assert.equal(went.slice(2), ['c web.1'])
  boots.leave('b web.1')
  assert.equal(went.slice(3), ['e web.1'])
})

test('who waits comes to boot, however many come who are to boot first', () => {
  const { boots, went, enter } = open(1)
  enter(boot('loud', 'web.0', 'by a person'), boot('quiet', 'worker.1'))
  for (let n = 1; n < 8 && !went.includes('quiet worker.1'); n++) {
    enter(boot('loud', `web.${n}`, 'by a person'))
    boots.leave(went.at(-1) ?? '')
  }
  assert.equal(went, ['loud web.0', 'loud web.1', 'loud web.2', 'quiet worker.1'])
})

test('a one-off dyno waits for nobody, and nobody for it', () => {
  const { boots, went, enter } = open(1)
  enter(boot('a', 'web.1'), boot('a', 'run.1', 'by a client'))
  assert.equal(went, ['a web.1', 'a run.1'])
  boots.runs(boot('a', 'run.1', 'by a client'), 0)
  enter(boot('b', 'web.1'))
  boots.leave('a web.1')
  assert.equal(went.slice(2), ['b web.1'])
})

test('one that is not up keeps its place for fifteen seconds of its life, a worker for three', () => {
  const { clock, boots, went, enter } = open(1)
  enter(boot('a', 'web.1'), boot('a', 'worker.1'), boot('b', 'worker.1'))
  clock.pass(60_000)
  assert.is(went.length, 1)
  boots.runs(boot('a', 'web.1'), clock.now())
  clock.pass(14_999)
  assert.is(went.length, 1)
  clock.pass(1)
  assert.equal(went.slice(1), ['a worker.1'])
  boots.runs(boot('a', 'worker.1'), clock.now())
  clock.pass(2999)
  assert.is(went.length, 2)
  clock.pass(1)
  assert.is(went.length, 3)
})

test('what an earlier daemon has started counts for as long as it would have', () => {
  const { clock, boots, went, enter } = open(1)
  clock.pass(100_000)
  boots.runs(boot('old', 'web.1'), 80_000)
  boots.runs(boot('young', 'web.1'), 90_000)
  enter(boot('a', 'web.1'))
  assert.equal(went, [])
  clock.pass(5000)
  assert.equal(went, ['a web.1'])
})

test.run()
