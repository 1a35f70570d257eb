import type { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { EngineError, type EngineEvent } from '../../daemon/engine/engine.ts'
import {
  appOf,
  collectEvents,
  type Declare,
  ended,
  never,
  outputOf,
  printed,
  type Rig,
  rejection,
  textOf,
} from './rig.ts'

type Test = Pick<ReturnType<typeof suite>, 'after'> & ((name: string, test: () => Promise<void>) => void)

type Part = (test: Declare, rig: Rig) => void

/** Declares the behaviours of every Engine as tests: of containers, or of what `parts` say. Each leaves nothing behind. */
export function declareContract(declare: Test, rig: Rig, parts: Part[] = [starts, stops, tells, reads, builds]): void {
  const engine = rig.engine()
  const test: Declare = (name, body) =>
    declare(name, async () => {
      const app = appOf(rig)
      try {
        await body(app)
      } finally {
        await engine.removeApp(app.id)
        await engine.sweepBuilds()
      }
      assert.equal(await rig.leftovers(), [])
    })
  for (const part of parts) part(test, rig)
}

function starts(test: Declare, rig: Rig): void {
  const engine = rig.engine()
  const { commands } = rig

  test('the engine answers, and tells its version', async () => {
    await engine.ping()
    assert.ok(await engine.version())
  })

  test('a dyno that is started runs at an address, under the identity of its spec', async ({ id: app, spec }) => {
    const wanted = spec(commands.stays, { type: 'worker', name: 'worker.3' })
    const before = Date.now()
    const placed = await engine.start(wanted)
    const { id, release, type, name, running, exitCode, outOfMemory } = placed
    assert.equal(
      { id, app: placed.app, release, type, name, running, exitCode, outOfMemory },
      {
        id: wanted.id,
        app,
        release: wanted.release.id,
        type: 'worker',
        name: 'worker.3',
        running: true,
        exitCode: null,
        outOfMemory: false,
      },
    )
    assert.match(placed.address ?? '', /^\d+\.\d+\.\d+\.\d+$/)
    assert.ok(Math.abs(placed.startedAt - before) < 60_000, `startedAt is ${placed.startedAt}`)
  })

  test('starting a dyno twice, at once or later or after a restart of the daemon, gives the same container', async ({
    spec,
  }) => {
    const wanted = spec(commands.stays)
    const [first, second] = await Promise.all([engine.start(wanted), engine.start(wanted)])
    assert.equal(second, first)
    assert.equal(await engine.start(wanted), first)
    assert.equal(await rig.engine().start(wanted), first)
    assert.is((await engine.list()).length, 1)
  })

  test('starting a dyno that has ended says that it has, and does not run it again', async ({ spec }) => {
    const wanted = spec(commands.exits(3))
    await engine.start(wanted)
    assert.is(await ended(engine, wanted.id), 3)
    const again = await engine.start(wanted)
    assert.equal([again.running, again.exitCode, again.address], [false, 3, null])
  })

  test('many dynos of an app may be started at once', async ({ spec }) => {
    const placed = await Promise.all(Array.from({ length: 6 }, () => engine.start(spec(commands.stays))))
    assert.is(new Set(placed.map(({ address }) => address)).size, 6)
  })

  test('a start that fails rejects with an EngineError and leaves nothing', async ({ spec }) => {
    const error = await rejection(engine.start(spec(commands.stays, { image: 'sluice/no-such-image:1' })))
    assert.instance(error, EngineError)
    assert.match(error.message, /no-such-image/)
    assert.equal(await engine.list(), [])
  })

  test('a start that is aborted rejects with the reason and leaves nothing', async ({ spec }) => {
    const abort = new AbortController()
    const reason = new Error('changed my mind')
    const start = rejection(engine.start(spec(commands.stays), abort.signal))
    abort.abort(reason)
    assert.is(await start, reason)
    assert.is(await rejection(engine.start(spec(commands.stays), abort.signal)), reason)
    assert.equal(await engine.list(), [])
  })
}

export function stops(test: Declare, rig: Rig): void {
  const engine = rig.engine()
  const { commands } = rig

  test('a stopped dyno is gone, quickly when it heeds SIGTERM', async ({ spec }) => {
    const wanted = spec(commands.stays)
    await engine.start(wanted)
    await printed(engine, wanted.id, 'ready')
    const before = performance.now()
    await engine.stop(wanted.id, 60_000)
    assert.ok(performance.now() - before < 40_000)
    assert.equal(await engine.list(), [])
  })

  test('a dyno that ignores SIGTERM is killed when its grace is over', async ({ spec }) => {
    const wanted = spec(commands.ignoresTerm)
    await engine.start(wanted)
    await printed(engine, wanted.id, 'ready')
    const before = performance.now()
    await engine.stop(wanted.id, 700)
    const took = performance.now() - before
    assert.ok(took >= 690 && took < 40_000, `took ${took} ms`)
  })

  test('stopping what is not there is success', () => engine.stop('00000000-0000-4000-8000-000000000000', 1000))

  test('stopping an ended dyno removes it; two stops at once do no harm', async ({ spec }) => {
    const wanted = spec(commands.exits(1))
    await engine.start(wanted)
    await ended(engine, wanted.id)
    await Promise.all([engine.stop(wanted.id, 1000), engine.stop(wanted.id, 1000)])
    assert.equal(await engine.list(), [])
  })

  test('a stop during the start leaves nothing', async ({ spec }) => {
    const wanted = spec(commands.stays)
    const start = engine.start(wanted).catch(() => {})
    await engine.stop(wanted.id, 1000)
    await start
    assert.equal(await engine.list(), [])
  })

  test('removing an app removes what it has left', async ({ id, spec }) => {
    await engine.start(spec(commands.stays))
    await engine.removeApp(id)
    assert.equal(await engine.list(), [])
    assert.equal(await rig.leftovers(), [])
  })
}

function tells(test: Declare, rig: Rig): void {
  const engine = rig.engine()
  const { commands } = rig

  test('a restarted daemon finds every dyno, with exit codes of those that ended meanwhile', async ({ spec }) => {
    const stays = spec(commands.stays)
    const fails = spec(commands.exits(42), { name: 'web.2' })
    const placed = await engine.start(stays)
    await engine.start(fails)
    await ended(engine, fails.id)
    const list = await rig.engine().list()
    assert.equal(
      list.find(({ id }) => id === stays.id),
      placed,
    )
    const other = list.find(({ id }) => id === fails.id)
    assert.equal([other?.running, other?.exitCode, other?.name, other?.address], [false, 42, 'web.2', null])
    assert.is(list.length, 2)
  })

  test('a watcher sees starts and ends from the moment it asked, with exit codes', async ({ id: app, spec }) => {
    const ends = spec(commands.exits(5))
    const stops = spec(commands.stays)
    const seen = collectEvents(engine, (events) => events.filter(({ kind }) => kind === 'exited').length === 2)
    await engine.start(ends)
    await ended(engine, ends.id)
    await engine.start(stops)
    await printed(engine, stops.id, 'ready')
    await engine.stop(stops.id, 10_000)
    const events = await seen
    assert.equal(
      events.filter(({ id }) => id === ends.id),
      [
        { kind: 'started', id: ends.id, app },
        { kind: 'exited', id: ends.id, app, exitCode: 5, outOfMemory: false },
      ],
    )
    assert.equal(events.at(-1), { kind: 'exited', id: stops.id, app, exitCode: 143, outOfMemory: false })
  })

  test('a SIGKILL by us is not taken for a lack of memory', async ({ spec }) => {
    const wanted = spec(commands.ignoresTerm)
    const seen = collectEvents(engine, (events) => events.some(({ kind }) => kind === 'exited'))
    await engine.start(wanted)
    await printed(engine, wanted.id, 'ready')
    await engine.stop(wanted.id, 0)
    const last = (await seen).at(-1)
    assert.equal(last?.kind === 'exited' && [last.exitCode, last.outOfMemory], [137, false])
  })

  test('what the kernel kills for its memory is told, whether the dyno lives on or ends of it', async ({
    id: app,
    spec,
  }) => {
    const memory = 64 * 1024 * 1024
    const lives = spec(commands.starves, { memory })
    const dies = spec(commands.starvesToDeath, { memory, name: 'web.2' })
    const seen = collectEvents(
      engine,
      (events) => events.some(({ id, kind }) => id === lives.id && kind === 'starved') && events.some(hasEnded),
    )
    await engine.start(lives)
    await engine.start(dies)
    const events = await seen
    assert.equal(events.filter(hasEnded), [{ kind: 'exited', id: dies.id, app, exitCode: 7, outOfMemory: true }])
    const list = await engine.list()
    const found = (id: string) => list.find((one) => one.id === id)
    assert.equal([found(lives.id)?.running, found(lives.id)?.outOfMemory], [true, false])
    assert.equal([found(dies.id)?.exitCode, found(dies.id)?.outOfMemory], [7, true])
    await engine.stop(lives.id, 10_000)
  })

  test('a watch ends when it is aborted, before and after it began', async () => {
    const abort = new AbortController()
    const events = engine.watch(abort.signal)[Symbol.asyncIterator]()
    const next = events.next()
    abort.abort()
    assert.is((await next).done, true)
    for await (const event of engine.watch(abort.signal)) assert.unreachable(event.kind)
  })
}

const hasEnded = ({ kind }: EngineEvent): boolean => kind === 'exited'

function reads(test: Declare, rig: Rig): void {
  const engine = rig.engine()
  const { commands } = rig

  test('the output of a dyno is complete to its last line, stdout and stderr apart', async ({ spec }) => {
    const wanted = spec(commands.prints(2000))
    await engine.start(wanted)
    const chunks = await outputOf(engine, wanted.id)
    const lines = textOf(chunks.filter(({ stream }) => stream === 'stdout')).split('\n')
    assert.is(lines.length, 2001)
    for (const [index, line] of lines.slice(0, -1).entries()) assert.is(line, `line ${index + 1}`)
    assert.is(textOf(chunks.filter(({ stream }) => stream === 'stderr')), 'the end\n')
    assert.ok(chunks.every(({ at }) => Math.abs(at - Date.now()) < 60_000))
  })

  test('what a dyno printed before it was stopped is read to the end', async ({ spec }) => {
    for (const command of [commands.prints(500), commands.stays]) {
      const wanted = spec(command)
      await engine.start(wanted)
      const whole = outputOf(engine, wanted.id)
      if (command === commands.stays) await printed(engine, wanted.id, 'ready')
      else await ended(engine, wanted.id)
      await engine.stop(wanted.id, 10_000)
      assert.match(textOf(await whole), command === commands.stays ? /ready\n$/ : /line 500\n/)
    }
  })

  test('reading may begin later than the beginning', async ({ spec }) => {
    const wanted = spec(commands.prints(3))
    await engine.start(wanted)
    const all = await outputOf(engine, wanted.id)
    const last = Math.max(...all.map(({ at }) => at))
    assert.equal(await outputOf(engine, wanted.id, last + 1000), [])
    assert.is((await outputOf(engine, wanted.id, last - 1000)).length, all.length)
  })

  test('reading ends when it is aborted, and at once for a dyno that is not there', async ({ spec }) => {
    const wanted = spec(commands.stays)
    await engine.start(wanted)
    await printed(engine, wanted.id, 'ready')
    assert.equal(await outputOf(engine, '00000000-0000-4000-8000-000000000000'), [])
  })
}

function builds(test: Declare, rig: Rig): void {
  const engine = rig.engine()
  const { commands } = rig

  test('a build gives all its output and its exit code', async ({ build }) => {
    const running = await engine.build(build(commands.buildPrints(5000, 3)), never)
    const chunks: Buffer[] = []
    for await (const chunk of running.output) chunks.push(chunk)
    assert.equal(await running.exit, { exitCode: 3, outOfMemory: false })
    assert.is(Buffer.concat(chunks).toString().trimEnd().split('\n').length, 5000)
    assert.match(Buffer.concat(chunks).toString(), /line 5000\n$/)
  })

  test('a build that is aborted is gone when it says so, and its output ends', async ({ build }) => {
    const abort = new AbortController()
    const reason = new Error('the push was interrupted')
    const running = await engine.build(build(commands.buildStays), abort.signal)
    let output = ''
    for await (const chunk of running.output) {
      output += chunk
      if (output.includes('ready')) abort.abort(reason)
    }
    assert.is(await rejection(running.exit), reason)
    assert.is(await rejection(engine.build(build(commands.buildStays), abort.signal)), reason)
  })

  test('a build that cannot start rejects with an EngineError', async ({ build }) => {
    const error = await rejection(engine.build(build(commands.buildStays, { image: 'sluice/no-such-image:1' }), never))
    assert.instance(error, EngineError)
  })

  test('it tells whose things it has, and one build or dyno can be taken away without the others', async ({
    spec,
    build,
  }) => {
    const wanted = [spec(commands.stays), spec(commands.stays)] as const
    for (const one of wanted) await engine.start(one)
    const builds = [build(commands.buildStays), build(commands.buildStays)] as const
    const running = [await engine.build(builds[0], never), await engine.build(builds[1], never)] as const
    for (const { exit } of running) exit.catch(() => {})
    const before = await engine.owners()
    for (const { id, app } of wanted) assert.ok(before.dynos.has(id) && before.apps.has(app.id))
    for (const { id } of builds) assert.ok(before.builds.has(id))
    const written = await engine.written()
    assert.ok(wanted.every(({ id }) => written.has(id)) && builds.every(({ id }) => !written.has(id)))
    await engine.removeBuild(builds[0].id)
    for await (const _ of running[0].output);
    await engine.stop(wanted[0].id, 0)
    const { dynos, builds: left } = await engine.owners()
    assert.equal([dynos.has(wanted[0].id), dynos.has(wanted[1].id)], [false, true])
    assert.equal([left.has(builds[0].id), left.has(builds[1].id)], [false, true])
    await engine.removeBuild(builds[1].id)
    for await (const _ of running[1].output);
  })

  test('builds that a crashed daemon left are swept, dynos are not', async ({ spec, build }) => {
    const dyno = await engine.start(spec(commands.stays))
    const running = await engine.build(build(commands.buildStays), never)
    await rig.engine().sweepBuilds()
    for await (const _ of running.output);
    await running.exit.catch(() => {})
    assert.equal(await engine.list(), [dyno])
  })
}
