import { PassThrough } from 'node:stream'
import { type DynoSpec, type Engine, EngineError, type EngineEvent, type Placed } from '../../daemon/engine/engine.ts'
import { type Channel, createChannel } from '../engine/channel.ts'
import type { Agenda } from './agenda.ts'
import type { Code } from './history.ts'
import { boots, type Machine, type Order, runs, type Placed as Seen } from './machine.ts'

/** What is remembered of each start that the machine was told of. */
export type Specs = Map<string, DynoSpec>

export interface Parts {
  agenda: Agenda
  machine: Machine
  specs: Specs
  /** What this command line stands for. */
  codeOf(command: string): Code
  ending(id: string): void
}

/** The machine as an `Engine` of one daemon, which hears nothing when it is dead. Output, builds and images are not simulated. */
export class ToldEngine {
  alive = true
  private readonly watchers = new Set<Channel<EngineEvent>>()
  private readonly parts: Parts

  constructor(parts: Parts) {
    this.parts = parts
  }

  exited({ id, exitCode }: Seen): void {
    const app = this.parts.specs.get(id)?.app.id
    if (app === undefined) return
    for (const watcher of this.watchers)
      watcher.put({ kind: 'exited', id, app, exitCode: exitCode ?? 0, outOfMemory: false })
  }

  die(): void {
    this.alive = false
    this.watchers.clear()
  }

  /** For an answer: the dead do not hear it. */
  private answer<T>(ask: (resolve: (value: T) => void, reject: (error: Error) => void) => void): Promise<T> {
    return new Promise((resolve, reject) =>
      ask(
        (value) => this.alive && resolve(value),
        (error) => this.alive && reject(error),
      ),
    )
  }

  get engine(): Engine {
    const { machine, specs } = this.parts
    const told: Partial<Engine> = {
      start: (spec) =>
        this.answer((resolve, reject) => {
          specs.set(spec.id, spec)
          machine.start(this.order(spec), (box) =>
            box ? resolve(this.placed(box)) : reject(new EngineError('The engine failed on purpose.')),
          )
        }),
      stop: (id, grace, hangup = 0) =>
        this.answer((resolve, reject) => {
          this.parts.ending(id)
          machine.stop(id, grace + hangup, (done) =>
            done ? resolve() : reject(new EngineError('The engine failed on purpose.')),
          )
        }),
      attach: async () => ({
        ...{ input: new PassThrough(), output: (async function* () {})(), resize: async () => {} },
        ...{ exit: new Promise<number>(() => {}), hangup: async () => {} },
      }),
      list: async () => machine.list().map((box) => this.placed(box)),
      watch: (signal) => {
        const events = createChannel<EngineEvent>()
        this.watchers.add(events)
        signal.addEventListener('abort', () => events.close(), { once: true })
        return events.read()
      },
      listens: async () => [],
      removeApp: async () => {},
    }
    return told as Engine
  }

  private placed({ id, running, exitCode, startedAt }: Seen): Placed {
    const spec = this.parts.specs.get(id)
    return {
      ...{
        id,
        app: spec?.app.id ?? '',
        release: spec?.release.id ?? '',
        type: spec?.type ?? '',
        name: spec?.name ?? '',
      },
      ...{ running, exitCode, outOfMemory: false, startedAt: startedAt + this.parts.agenda.offset },
      address: running ? '10.0.0.1' : null,
      attached: spec?.terminal !== undefined,
    }
  }

  private order({ id, release, type, name, code }: DynoSpec): Order {
    const what = { id, release: release.id, type, ordinal: Number(name.split('.')[1]), oneOff: type === 'run' }
    if (type === 'run') return { ...what, ends: { after: Number(code.command), code: 0 }, listens: null }
    const of = this.parts.codeOf(code.command ?? '')
    if (type === 'release') return { ...what, ...runs(of) }
    const nth = [...this.parts.specs.values()].filter((one) => one.release.id === release.id && one.type === type)
    return type === 'web' ? { ...what, ...boots(of, nth.length - 1) } : { ...what, ends: null, listens: null }
  }
}
