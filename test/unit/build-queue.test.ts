import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createQueue, placesOn, type Queue } from '../../daemon/build/queue.ts'

const GiB = 1024 ** 3

/** A build that ends when it is told to. */
function build(queue: Queue) {
  let end = (): void => {}
  const work = new Promise<void>((resolve) => {
    end = resolve
  })
  const cancel = new AbortController()
  const ahead: number[] = []
  let begun = false
  const done = queue.turn({ signal: cancel.signal, moved: (n) => ahead.push(n) }, () => {
    begun = true
    return work
  })
  done.catch(() => {})
  return { end: () => end(), cancel, ahead, done, begun: () => begun }
}

test('builds beyond the places wait in the order of coming, and learn their place each time that it changes', async () => {
  const queue = createQueue(2)
  const [one, two, three, four] = [build(queue), build(queue), build(queue), build(queue)]
  assert.equal(
    [one, two, three, four].map(({ begun }) => begun()),
    [true, true, false, false],
  )
  assert.equal([one.ahead, two.ahead, three.ahead, four.ahead], [[], [], [1], [2]])
  two.end()
  await two.done
  assert.equal([three.begun(), four.begun()], [true, false])
  assert.equal(four.ahead, [2, 1])
  three.end()
  await three.done
  assert.ok(four.begun())
  one.end()
  four.end()
  await Promise.all([one.done, four.done])
})

test('a canceled build leaves the queue at once, and those behind it move up', async () => {
  const queue = createQueue(1)
  const [one, two, three] = [build(queue), build(queue), build(queue)]
  two.cancel.abort(new Error('canceled'))
  assert.is(await two.done.catch(({ message }) => message), 'canceled')
  assert.equal([two.begun(), three.ahead], [false, [2, 1]])
  one.end()
  await one.done
  assert.ok(three.begun())
  three.end()
  await three.done
})

test('a build that fails gives its place on, and who comes then does not pass those who wait', async () => {
  const queue = createQueue(1)
  const failed = queue.turn({ signal: new AbortController().signal, moved() {} }, async () => {
    throw new Error('no')
  })
  const waiting = build(queue)
  await failed.catch(() => {})
  const late = build(queue)
  assert.equal([waiting.begun(), late.begun()], [true, false])
  waiting.end()
  await waiting.done
  assert.ok(late.begun())
  late.end()
  await late.done
  const after = build(queue)
  assert.ok(after.begun(), 'no place is lost')
  after.end()
})

test('a machine has as many places as cores, and no more than twice fit into its memory, but one', () => {
  assert.equal([placesOn(8, 64 * GiB), placesOn(8, 9 * GiB), placesOn(1, 64 * GiB), placesOn(4, 1 * GiB)], [8, 2, 1, 1])
})

test.run()
