import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { connect } from '../../daemon/engine/connection.ts'
import { createDockerEngine } from '../../daemon/engine/docker.ts'
import { type Engine, EngineError, type Process, type Terminal } from '../../daemon/engine/engine.ts'
import { createNetworks } from '../../daemon/engine/network.ts'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { call, idLabel, listContainers } from '../e2e/engine.ts'
import { type EngineProxy, openEngineProxy } from '../e2e/engine-proxy.ts'
import { waitFor } from '../e2e/wait.ts'
import { PIDS } from '../engine/cgroup.ts'
import { contextOf } from '../engine/contract-images.ts'
import { createDockerRig } from '../engine/docker-rig.ts'
import { appOf } from '../engine/rig.ts'

/** The engine refuses, loses its answer or never gives one, at each kind of call that the tests of whole platforms do not strike. */
const rig = await createDockerRig(14)
const { id: app, spec, imageBuild, build } = appOf(rig)
const direct = rig.engine()
const dyno = spec('exec sleep 601')
await direct.start(dyno)
test.after(async () => {
  await direct.removeApp(app)
  await rig.close()
})

const before = await rig.leftovers()
/** But for the one network of all builds. */
const isLeft = (one: string): boolean => !before.includes(one) && !/^network sluice-build-[^-]+$/.test(one)

/** Further processes in the dyno. */
async function commandsIn(): Promise<string[]> {
  const dynos = (await listContainers(rig.installation)).filter(({ Labels }) => Labels[idLabel] === dyno.id)
  const path = `/containers/${dynos[0]?.Id}/top?ps_args=-eo%20pid,args`
  const { Processes } = await call<{ Processes: string[][] }>('GET', path)
  return Processes.filter(([, args = '']) => args.startsWith(COMMAND)).map(([, args = '']) => args)
}

const COMMAND = 'sleep 600'
const pipes: Terminal = { kind: 'pipes' }
const tty: Terminal = { kind: 'tty', columns: 80, rows: 24 }
const exec = (engine: Engine, terminal: Terminal = pipes): Promise<Process> =>
  engine.exec({ id: dyno.id, command: `exec ${COMMAND}`, env: ['TERM=dumb'], terminal })

async function drained({ output, exit }: { output: AsyncIterable<unknown>; exit: Promise<unknown> }): Promise<unknown> {
  for await (const _ of output);
  return exit
}

async function hungUp(process: Process): Promise<void> {
  await Promise.all([process.hangup(), drained(process)])
}

/** What an image that is there is held by. */
async function held(change: (name: string) => Promise<unknown>): Promise<void> {
  const name = `faults-${crypto.randomUUID()}:web`
  const { id = '' } = (await direct.images.inspect(rig.image)) ?? {}
  await direct.images.keep(id, name)
  try {
    await change(name)
  } finally {
    await direct.images.forget(name)
  }
}

interface Work {
  kind: string
  work(engine: Engine, signal: AbortSignal): Promise<unknown>
  /** What it comes to instead of an error. */
  without?: unknown
  /** It may take long, so whoever wants it says until when. Its answer comes while it works, so that is not lost as a whole. */
  long?: true
}

const works: Work[] = [
  { kind: 'GET /_ping', work: (engine) => engine.ping() },
  { kind: 'GET /info', work: (engine) => engine.images.space() },
  { kind: 'GET /containers/json', work: (engine) => engine.list() },
  {
    kind: 'GET /events',
    async work(engine) {
      const enough = new AbortController()
      const events = engine.watch(enough.signal)[Symbol.asyncIterator]()
      try {
        await Promise.all([events.next(), terminal(direct)])
      } finally {
        enough.abort()
      }
    },
  },
  { kind: 'GET /containers/*/stats', work: (engine) => engine.memoryUsed(dyno.id), without: null },
  { kind: 'POST /containers/*/exec', work: async (engine) => hungUp(await exec(engine)) },
  { kind: 'POST /exec/*/start', work: async (engine) => hungUp(await exec(engine)) },
  { kind: 'GET /exec/*/json', work: async (engine) => hungUp(await exec(engine)) },
  {
    kind: 'POST /exec/*/resize',
    async work(engine) {
      const process = await exec(engine, tty)
      try {
        await process.resize(100, 30)
      } finally {
        await hungUp(process)
      }
    },
  },
  { kind: 'POST /containers/*/attach', work: (engine) => terminal(engine) },
  { kind: 'POST /containers/*/wait', work: (engine) => terminal(engine) },
  {
    kind: 'POST /containers/*/attach of a build',
    work: async (engine, signal) => drained(await builds(engine, signal)),
  },
  {
    kind: 'POST /build',
    long: true,
    async work(engine, signal) {
      const wanted = imageBuild()
      const { output, done } = await engine.images.build(wanted, contextOf(rig.dockerfiles.good), signal)
      await drained({ output, exit: done })
      await direct.images.forget(`build-${wanted.build}`)
    },
  },
  { kind: 'POST /images/*/tag', work: (engine) => held((name) => engine.images.keep(rig.image, name)) },
  { kind: 'GET /images/*/json', work: (engine) => held((name) => engine.images.forget(name)) },
  { kind: 'DELETE /images/*', work: (engine) => held((name) => engine.images.forget(name)) },
  { kind: 'GET /images/json', work: (engine) => engine.images.kept() },
]

const builds = (engine: Engine, signal: AbortSignal) => engine.build(build(rig.commands.buildPrints(1, 0)), signal)

/** A dyno whose output a client holds. */
async function terminal(engine: Engine): Promise<void> {
  const wanted = spec('true', { terminal: pipes })
  const attached = engine.attach(wanted.id)
  attached.catch(() => {})
  try {
    await engine.start(wanted)
    await drained(await attached)
  } finally {
    await direct.stop(wanted.id, 0)
  }
}

/** Longer than what a busy machine takes for an honest answer. */
const ANSWER = 15_000
Object.assign(limits, { engineAnswer: ANSWER, imageRemoval: ANSWER, hangup: 300, stopGrace: 300 })

/** Work by an engine that is behind a proxy. */
async function behind<T>(work: (proxy: EngineProxy, engine: Engine) => Promise<T>): Promise<T> {
  const proxy = await openEngineProxy()
  const socket = proxy.settings.SLUICE_ENGINE
  const { installation, data } = rig
  try {
    return await work(proxy, createDockerEngine({ socket, installation, data, log: createLog(() => {}) }))
  } finally {
    proxy.heal()
    await proxy.close()
  }
}

/** What comes of it when one call is struck, and of the same thing after that. */
const faultsOf = ({ kind, work, without, long }: Work, fault: 'error' | 'lost' | 'hang'): Promise<string[]> =>
  behind(async (proxy, engine) => {
    const strike = proxy.strike(kind, fault)
    const signal = long ? AbortSignal.timeout(ANSWER) : new AbortController().signal
    let came: unknown
    void work(engine, signal).then(
      (result) => (came = { result }),
      (error: unknown) => (came = error),
    )
    await waitFor(`the end of ${kind} with ${fault}`, () => came !== undefined)
    const faults: string[] = []
    if (!strike.done) faults.push('was not made')
    if (without !== undefined) assert.equal(came, { result: without })
    else if (long && fault === 'hang') assert.is(came, signal.reason)
    else if (!(came instanceof EngineError) || !/^The Docker engine |struck/.test(came.message))
      faults.push(`came to ${String(came)}`)
    await work(engine, new AbortController().signal).catch((error: unknown) =>
      faults.push(`did not work after that: ${String(error)}`),
    )
    return faults.map((one) => `${kind} ${one}`)
  })

for (const fault of ['error', 'lost', 'hang'] as const)
  test(`a call that the engine answers with ${fault} ends with a sentence, leaves nothing, and works the next time`, async () => {
    const struck = works.filter(({ long }) => !long || fault !== 'lost')
    const faults = await Promise.all(struck.map((one) => faultsOf(one, fault)))
    assert.equal(faults.flat(), [])
    const left = async () => [...(await commandsIn()), ...(await rig.leftovers()).filter(isLeft)]
    await waitFor('nothing to be left', async () => {
      const now = await left()
      if (now.length > 0) throw new Error(now.join(', '))
      return true
    })
  })

test('a step of an image that the engine does not bound at once is bound a moment later', () =>
  behind(async (proxy, engine) => {
    const wanted = imageBuild()
    const strike = proxy.strike('POST /containers/*/update', 'error')
    const bound = `RUN until [ "$(${PIDS})" = ${wanted.pids} ]; do sleep 0.1; done`
    const dockerfile = `FROM ${rig.image}\nLABEL sluice.test.of=${rig.installation}\n${bound}\n`
    const { output, done } = await engine.images.build(wanted, contextOf(dockerfile), AbortSignal.timeout(120_000))
    await drained({ output, exit: done })
    assert.ok(strike.done)
    await direct.images.forget(`build-${wanted.build}`)
  }))

test('a dyno is stopped although the engine takes its volume for one in use a moment longer', () =>
  behind(async (proxy, engine) => {
    const short = spec('true')
    await engine.start(short)
    const strike = proxy.strike('DELETE /volumes/*', 'conflict')
    await engine.stop(short.id, 0)
    assert.ok(strike.done)
    assert.equal((await rig.leftovers()).filter(isLeft), [])
  }))

test('a dyno whose end somebody holds is not started before the engine waits for that end', () =>
  behind(async (proxy, engine) => {
    const strike = proxy.strike('POST /containers/*/wait', 'late')
    const held = terminal(engine)
    await waitFor('the engine to be asked', () => strike.done)
    await terminal(direct)
    assert.not.ok(proxy.tally().has('POST /containers/*/start'))
    proxy.heal()
    await held
  }))

test('the network of an image’s build is removed although a container is only just leaving it', async () => {
  const proxy = await openEngineProxy()
  const { installation, image } = rig
  const networks = createNetworks(connect(proxy.settings.SLUICE_ENGINE), installation)
  const ofBuild = crypto.randomUUID()
  const network = await networks.ofImageBuild(ofBuild)
  const { Id } = await call<{ Id: string }>('POST', '/containers/create', {
    Image: image,
    Cmd: ['sleep', '600'],
    Labels: { 'sluice.test.of': installation },
    HostConfig: { NetworkMode: network },
  })
  try {
    await call('POST', `/containers/${Id}/start`)
    proxy.tally()
    const gone = networks.removeOfImageBuild(ofBuild)
    gone.catch(() => {})
    await waitFor('a refusal', () => [...proxy.tally().keys()].some((kind) => kind.startsWith('DELETE /networks/*')))
    await call('DELETE', `/containers/${Id}?force=true`)
    await gone
    assert.equal((await rig.leftovers()).filter(isLeft), [])
  } finally {
    await call('DELETE', `/containers/${Id}?force=true`).catch(() => {})
    await networks.removeOfImageBuild(ofBuild)
    await proxy.close()
  }
})

test.run()
