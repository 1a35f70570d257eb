import * as assert from 'uvu/assert'
import { EngineError, type Terminal } from '../../daemon/engine/engine.ts'
import { waitFor } from '../e2e/wait.ts'
import { type Declare, ended, hold, printed, type Rig, reading, rejection } from './rig.ts'

const pipes: Terminal = { kind: 'pipes' }
const tty: Terminal = { kind: 'tty', columns: 101, rows: 33 }
const MB = 1_000_000
const absent = '00000000-0000-4000-8000-000000000000'

/** Every byte there is, in an order that no text has. */
const everyByte = Buffer.from(Array.from({ length: 1024 }, (_, index) => (index * 37) % 256))

/**
 * The parts of the contract that are about processes whose input and output a client holds: talking to one, and leaving it or
 * running another beside it.
 */
export const attachParts = [talks, handsOut]
export const execParts = [hangsUp, execs]

function talks(test: Declare, rig: Rig): void {
  const engine = rig.engine()
  const { commands } = rig

  test('a process with pipes gets the bytes of its client, and the end of file', async ({ spec }) => {
    const process = await hold(engine, spec(commands.echoes, { terminal: pipes }))
    const read = reading(process)
    process.input.write(everyByte)
    await read.sees(everyByte.toString('latin1'))
    process.input.end('the last\n')
    assert.is(await read.end('stdout'), `ready\n${everyByte.toString('latin1')}the last\nend of input\n`)
    assert.is(await process.exit, 0)
  })

  test('with pipes, stdout and stderr are apart', async ({ spec }) => {
    const process = await hold(engine, spec(commands.prints(3), { terminal: pipes }))
    const read = reading(process)
    assert.is(await read.end('stdout'), 'line 1\nline 2\nline 3\n')
    assert.is(await read.end('stderr'), 'the end\n')
  })

  test('a terminal has the size that was asked for, and the process hears of another', async ({ spec }) => {
    const process = await hold(engine, spec(commands.shows, { terminal: tty }))
    const read = reading(process)
    await read.sees('size 33 101')
    await process.resize(77, 22)
    await read.sees('size 22 77')
    await process.hangup()
    assert.match(await read.end(), /^yes\r?\nsize 33 101\r?\n(.*\n)*size 22 77/)
    await process.resize(10, 10)
  })

  test('a process with pipes has no terminal, and no size', async ({ spec }) => {
    const process = await hold(engine, spec(commands.shows, { terminal: pipes }))
    const read = reading(process)
    await read.sees('no\n')
    await process.resize(77, 22)
    await process.hangup()
  })

  test('^C interrupts what has a terminal', async ({ spec }) => {
    const process = await hold(engine, spec(commands.heedsInterrupt, { terminal: tty }))
    const read = reading(process)
    await read.sees('ready')
    process.input.write('\x03')
    await read.sees('interrupted')
    assert.is(await process.exit, 7)
  })

  test('the exit code of a process is told after its output, with pipes and with a terminal', async ({ spec }) => {
    const ends = async (terminal: Terminal, code: number) => {
      const process = await hold(engine, spec(commands.exits(code), { terminal }))
      assert.is(await reading(process).end(), '')
      assert.is(await process.exit, code)
    }
    await Promise.all([ends(pipes, 0), ends(pipes, 3), ends(tty, 0), ends(tty, 255)])
  })

  test('output is complete, and a process waits for whoever is slow to read it', async ({ spec }) => {
    const slow = spec(commands.floods(20 * MB), { terminal: pipes })
    const unread = await hold(engine, slow)
    const read = await hold(engine, spec(commands.floods(MB), { terminal: pipes }))
    assert.is((await reading(read).end()).length, MB)
    assert.is((await engine.list()).find(({ id }) => id === slow.id)?.running, true)
    assert.is((await reading(unread).end()).length, 20 * MB)
    assert.equal([await unread.exit, await read.exit], [0, 0])
  })
}

function handsOut(test: Declare, rig: Rig): void {
  const engine = rig.engine()
  const { commands } = rig

  const refused = async (work: Promise<unknown>): Promise<string> => {
    const error = await rejection(work)
    assert.instance(error, EngineError)
    return error.message
  }

  test('the output of a dyno that has ended is there for the client that comes late', async ({ spec }) => {
    const wanted = spec(commands.prints(500), { terminal: pipes })
    await engine.start(wanted)
    await ended(engine, wanted.id)
    const process = await engine.attach(wanted.id)
    assert.match(await reading(process).end('stdout'), /^line 1\n(.*\n)*line 500\n$/)
    assert.is(await process.exit, 0)
  })

  test('a dyno is attached once, and not without a terminal of its own', async ({ spec }) => {
    const wanted = spec(commands.echoes, { terminal: pipes })
    const waiting = [engine.attach(wanted.id), refused(engine.attach(wanted.id))] as const
    await engine.start(wanted)
    await waiting[0]
    assert.match(await waiting[1], 'Another client')
    assert.match(await refused(engine.attach(wanted.id)), 'Another client')
    const plain = spec(commands.stays)
    const early = refused(engine.attach(plain.id))
    await engine.start(plain)
    await early
    await refused(engine.attach(plain.id))
  })

  test('after a restart of the daemon a dyno is known as attached, and cannot be attached again', async ({ spec }) => {
    const wanted = spec(commands.echoes, { terminal: pipes })
    const placed = await engine.start(wanted)
    const plain = await engine.start(spec(commands.stays, { name: 'web.2' }))
    assert.equal([placed.attached, plain.attached], [true, false])
    const later = rig.engine()
    await refused(later.attach(wanted.id))
    assert.equal(await later.start(wanted), placed)
    await refused(later.attach(wanted.id))
    assert.is((await later.list()).find(({ id }) => id === wanted.id)?.attached, true)
    await reading(await engine.attach(wanted.id)).sees('ready')
  })

  test('who waits for a dyno is told when it does not start, when it is stopped, and may go', async ({ spec }) => {
    const failing = spec(commands.stays, { terminal: pipes, image: 'sluice/no-such-image:1' })
    const waiting = refused(engine.attach(failing.id))
    await engine.start(failing).catch(() => {})
    assert.match(await waiting, /no-such-image/)

    const never = spec(commands.stays, { terminal: pipes })
    const stopped = refused(engine.attach(never.id))
    const abort = new AbortController()
    const left = rejection(engine.attach(never.id, abort.signal))
    const reason = new Error('the client has gone')
    abort.abort(reason)
    assert.is(await left, reason)
    await waitFor('the stop to be heard', async () => {
      await engine.stop(never.id, 0)
      return true
    })
    assert.match(await stopped, 'was stopped')
    assert.match(await refused(engine.attach(never.id)), 'was stopped')
  })

  test('a dyno that nobody attached ends at once when it is stopped, however much it has to say', async ({ spec }) => {
    const wanted = spec(commands.floods(20 * MB), { terminal: pipes })
    await engine.start(wanted)
    const before = performance.now()
    await engine.stop(wanted.id, 60_000)
    assert.ok(performance.now() - before < 40_000)
  })
}

function hangsUp(test: Declare, rig: Rig): void {
  const engine = rig.engine()
  const { commands } = rig

  test('a dyno whose client has gone gets SIGHUP and is gone', async ({ spec }) => {
    for (const terminal of [pipes, tty]) {
      const wanted = spec(commands.stays, { terminal })
      const process = await hold(engine, wanted)
      await reading(process).sees('ready')
      const before = performance.now()
      await engine.stop(wanted.id, 60_000, 60_000)
      assert.ok(performance.now() - before < 40_000)
      assert.is(await process.exit, 129)
    }
  })

  test('one that ignores SIGHUP and SIGTERM is killed when both graces are over', async ({ spec }) => {
    const wanted = spec(commands.ignoresAll, { terminal: tty })
    const process = await hold(engine, wanted)
    await reading(process).sees('ready')
    const before = performance.now()
    await engine.stop(wanted.id, 400, 500)
    const took = performance.now() - before
    assert.ok(took >= 890 && took < 40_000, `took ${took} ms`)
    assert.is(await process.exit, 137)
  })

  test('hanging up ends a dyno that is not read', async ({ spec }) => {
    const wanted = spec(commands.floods(20 * MB), { terminal: pipes })
    const process = await hold(engine, wanted)
    await process.hangup()
    await process.exit
    await ended(engine, wanted.id)
  })
}

function execs(test: Declare, rig: Rig): void {
  const engine = rig.engine()
  const { commands } = rig

  test('a further process runs in a dyno, with pipes or a terminal of its own', async ({ spec }) => {
    const { id } = await engine.start(spec(commands.stays))
    const process = await engine.exec({ id, command: commands.echoes, env: [], terminal: pipes })
    const read = reading(process)
    process.input.end(everyByte)
    assert.is(await read.end('stdout'), `ready\n${everyByte.toString('latin1')}end of input\n`)
    assert.is(await process.exit, 0)
    const shows = await engine.exec({ id, command: commands.shows, env: [], terminal: tty })
    const seen = reading(shows)
    await seen.sees('size 33 101')
    await shows.resize(77, 22)
    await seen.sees('size 22 77')
    await shows.hangup()
    await shows.resize(10, 10)
    const fails = await engine.exec({ id, command: commands.exits(4), env: [], terminal: tty })
    assert.is(await reading(fails).end(), '')
    assert.is(await fails.exit, 4)
    assert.is((await engine.list())[0]?.running, true)
  })

  test('hanging up ends a further process, and not its dyno', async ({ spec }) => {
    const { id } = await engine.start(spec(commands.stays))
    for (const terminal of [pipes, tty]) {
      const process = await engine.exec({ id, command: commands.stays, env: [], terminal })
      await reading(process).sees('ready')
      await process.hangup()
      assert.is(await process.exit, 129)
    }
    assert.is((await engine.list())[0]?.running, true)
  })

  test('no further process runs in a dyno that has ended, or that is not there', async ({ spec }) => {
    const { id } = await engine.start(spec(commands.exits(0)))
    await ended(engine, id)
    for (const one of [id, absent]) {
      const error = await rejection(engine.exec({ id: one, command: commands.stays, env: [], terminal: pipes }))
      assert.instance(error, EngineError)
      assert.match(error.message, 'does not run')
    }
    const reason = new Error('changed my mind')
    const aborted = engine.exec({ id, command: commands.stays, env: [], terminal: pipes }, AbortSignal.abort(reason))
    assert.is(await rejection(aborted), reason)
  })

  test('a dyno with a further process stops as quickly as without, and takes that along', async ({ spec }) => {
    const wanted = spec(commands.stays)
    const { id } = await engine.start(wanted)
    await printed(engine, id, 'ready')
    const open = await Promise.all(
      [pipes, tty].map((terminal) => engine.exec({ id, command: commands.stays, env: [], terminal })),
    )
    for (const process of open) await reading(process).sees('ready')
    const before = performance.now()
    await engine.stop(id, 60_000)
    assert.ok(performance.now() - before < 40_000)
    for (const process of open) assert.ok((await process.exit) > 0)
  })
}
