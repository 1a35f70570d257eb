import type { Readable } from 'node:stream'
import { type Connection, explain } from './connection.ts'
import type { Ends } from './ends.ts'
import { EngineError, type EngineEvent } from './engine.ts'
import { LABEL, labelFilter } from './spec.ts'

interface Message {
  Action?: string
  timeNano?: number
  Actor?: { Attributes?: Record<string, string> }
}

/** Starts and ends of dynos, and what the kernel kills in them, from the moment of the call: the engine keeps what happens until the stream is open. */
export function watchEvents(
  engine: Connection,
  installation: string,
  ends: Ends,
  signal: AbortSignal,
): AsyncIterable<EngineEvent> {
  const since = Date.now() / 1000
  return (async function* () {
    for await (const message of messages(engine, installation, since, signal)) {
      const event = eventOf(message, ends)
      if (event) yield event
    }
  })()
}

async function* messages(
  engine: Connection,
  installation: string,
  since: number,
  signal: AbortSignal,
): AsyncGenerator<Message> {
  const filters = {
    type: ['container' as const],
    event: ['start', 'oom', 'die'],
    label: labelFilter(installation, { kind: 'dyno' }),
  }
  let stream: Readable | undefined
  const stop = () => stream?.destroy()
  signal.addEventListener('abort', stop)
  try {
    stream = (await engine.ask('tell of changes', (docker) => docker.getEvents({ since, filters }))) as Readable
    if (signal.aborted) return
    stream.setEncoding('utf8')
    let rest = ''
    for await (const chunk of stream) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line.trim()) yield JSON.parse(line) as Message
    }
  } catch (error) {
    if (signal.aborted) return
    throw explain(engine.socket, 'tell of changes', error)
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
  if (!signal.aborted) throw new EngineError(`The Docker engine at ${engine.socket} stopped telling of changes.`)
}

function eventOf(message: Message, ends: Ends): EngineEvent | null {
  const attributes = message.Actor?.Attributes ?? {}
  const id = attributes[LABEL.id]
  const app = attributes[LABEL.app]
  if (id === undefined || app === undefined) return null
  if (message.Action === 'start') return { kind: 'started', id, app }
  const at = (message.timeNano ?? 0) / 1e6
  if (message.Action === 'oom') {
    ends.starved(id, at)
    return { kind: 'starved', id, app }
  }
  const exitCode = Number(attributes.exitCode)
  return { kind: 'exited', id, app, exitCode, outOfMemory: ends.outOfMemory(id, { exitCode, at }) }
}
