import type { Readable } from 'node:stream'
import { type Connection, explain } from './connection.ts'
import type { EngineEvent, LogChunk } from './engine.ts'
import { containerName, LABEL } from './spec.ts'

/** Starts and ends of this installation's dynos as the engine tells them. */
export async function* watchEvents(
  engine: Connection,
  installation: string,
  signal: AbortSignal,
): AsyncGenerator<EngineEvent> {
  const filters = {
    type: ['container' as const],
    event: ['start', 'die', 'oom'],
    label: [`${LABEL.installation}=${installation}`, `${LABEL.kind}=dyno`],
  }
  const stream = await engine.ask('tell its events', (docker) => docker.getEvents({ filters }))
  const outOfMemory = new Set<string>()
  for await (const line of linesOf(engine, stream as Readable, signal)) {
    const { Action, Actor } = JSON.parse(line) as { Action: string; Actor: { Attributes: Record<string, string> } }
    const id = Actor.Attributes[LABEL.id] ?? ''
    const app = Actor.Attributes[LABEL.app] ?? ''
    if (Action === 'start') yield { kind: 'started', id, app }
    else if (Action === 'oom') outOfMemory.add(id)
    else
      yield {
        kind: 'exited',
        id,
        app,
        exitCode: Number(Actor.Attributes.exitCode ?? 0),
        outOfMemory: outOfMemory.delete(id),
      }
  }
}

async function* linesOf(engine: Connection, stream: Readable, signal: AbortSignal): AsyncGenerator<string> {
  let partial = ''
  for await (const chunk of bytesOf(engine, stream, signal)) {
    const lines = (partial + chunk.toString('utf8')).split('\n')
    partial = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') yield line
  }
}

/** A stream that ends quietly when `signal` aborts, and with an EngineError when the engine goes away. */
async function* bytesOf(engine: Connection, stream: Readable, signal: AbortSignal): AsyncGenerator<Buffer> {
  const abort = () => stream.destroy()
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    for await (const chunk of stream) yield chunk as Buffer
  } catch (error) {
    if (!signal.aborted) throw explain(engine.socket, 'go on telling', error)
  } finally {
    signal.removeEventListener('abort', abort)
    stream.destroy()
  }
}

const HEADER = 8
const STDERR = 2

/** A dyno's output. The engine puts a header and a time before each piece (docs.docker.com/engine/api, "Stream format"). */
export async function* readLogs(
  engine: Connection,
  { id, since }: { id: string; since: number },
  signal: AbortSignal,
): AsyncGenerator<LogChunk> {
  const options = { follow: true as const, stdout: true, stderr: true, timestamps: true, since: since / 1000 }
  const stream = await engine.ask(
    'tell the output of a container',
    (docker) => docker.getContainer(containerName(id)).logs(options) as unknown as Promise<Readable>,
  )
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of bytesOf(engine, stream, signal)) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= HEADER) {
      const end = HEADER + rest.readUInt32BE(4)
      if (rest.length < end) break
      yield parseFrame(rest[0] ?? 1, rest.subarray(HEADER, end))
      rest = rest.subarray(end)
    }
  }
}

function parseFrame(kind: number, frame: Buffer): LogChunk {
  const space = frame.indexOf(0x20)
  const at = Date.parse(frame.toString('latin1', 0, space))
  return { stream: kind === STDERR ? 'stderr' : 'stdout', at, data: frame.subarray(space + 1) }
}
