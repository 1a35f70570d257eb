import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { socketPath } from './engine.ts'

/**
 * What an engine may do to one call. `error` and `conflict`: it refuses with 500 or 409. `hang`: it never answers, and never does it. `late`: it answers
 * when the test lets it. `lost`: it does it, and the connection breaks before the answer. `half`: the connection breaks in the middle of the answer.
 */
export type Fault = 'error' | 'conflict' | 'hang' | 'late' | 'lost' | 'half'

/** A unix socket in front of the engine's, which passes everything on but for the calls that it is told to strike. */
export interface EngineProxy {
  /** For `startPlatform`. */
  settings: { SLUICE_ENGINE: string }
  /** How often each kind of call was made since the last time that this was asked. */
  tally(): Map<string, number>
  /** Strikes the `nth` next call of a kind, once; `done` when it has. */
  strike(kind: string, fault: Fault, nth?: number): { readonly done: boolean }
  /** Takes back what has not struck, and lets go of whoever hangs: the connection breaks. Late answers come. */
  heal(): void
  close(): Promise<void>
}

/** What a call does to an item of the engine's collections: the last part of its path. */
const VERB = /\/(json|start|kill|wait|attach|resize|update|logs|stats|top|exec|archive|history|tag)$/
/** Containers and networks of builds by buildpacks, by their names. */
const OF_BUILD = /^sluice-(\w+-)?build-/

/** Method and path, with `*` for a name, and whether it is about a build. */
export function kindOf({ method, url = '' }: IncomingMessage): string {
  const { pathname, searchParams } = new URL(url, 'http://engine')
  const path = pathname.replace(/^\/v\d[\d.]*(?=\/)/, '')
  const [, collection, item] =
    /^\/(containers|exec|networks|volumes|images)\/(?!(?:json|create|load)$)(.+)$/.exec(path) ?? []
  const kind =
    collection === undefined ? `${method} ${path}` : `${method} /${collection}/*${VERB.exec(`/${item}`)?.[0] ?? ''}`
  return OF_BUILD.test(item ?? searchParams.get('name') ?? '') ? `${kind} of a build` : kind
}

export async function openEngineProxy(): Promise<EngineProxy> {
  const socket = join(tmpdir(), `sluice-engine-${randomUUID()}.sock`)
  let seen = new Map<string, number>()
  const open = new Set<Socket>()
  /** What ends the waiting of those that hang or are late. */
  const held = new Set<() => void>()
  const armed = new Set<{ kind: string; fault: Fault; left: number; done: boolean }>()

  const faultOf = (call: IncomingMessage): Fault | undefined => {
    const kind = kindOf(call)
    seen.set(kind, (seen.get(kind) ?? 0) + 1)
    for (const strike of armed) {
      if (strike.kind !== kind || --strike.left > 0) continue
      armed.delete(strike)
      strike.done = true
      return strike.fault
    }
    return undefined
  }

  const server = createServer((call, answer) => {
    const fault = faultOf(call)
    switch (fault) {
      case 'error':
      case 'conflict':
        call.resume()
        return refuse(answer, fault === 'error' ? 500 : 409)
      case 'hang':
        call.resume()
        held.add(() => call.socket.destroy())
        return
      default:
        return pass(call, answer, fault, held)
    }
  })
  server.on('connection', (socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  server.on('upgrade', (call, client, head) => {
    const fault = faultOf(call)
    switch (fault) {
      case 'error':
      case 'conflict':
        client.end(
          `HTTP/1.1 ${fault === 'error' ? 500 : 409} Struck\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n${STRUCK}`,
        )
        return
      case 'hang':
        held.add(() => client.destroy())
        return
      default:
        passStream(call, client, { head, fault, held })
    }
  })
  server.keepAliveTimeout = 0
  server.requestTimeout = 0
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  return {
    settings: { SLUICE_ENGINE: socket },
    tally() {
      const before = seen
      seen = new Map()
      return before
    },
    strike(kind, fault, nth = 1) {
      const strike = { kind, fault, left: nth, done: false }
      armed.add(strike)
      return strike
    },
    heal() {
      armed.clear()
      for (const end of held) end()
      held.clear()
    },
    async close() {
      server.close()
      for (const one of open) one.destroy()
      await rm(socket, { force: true })
    },
  }
}

const STRUCK = JSON.stringify({ message: 'struck by the test' })

function refuse(answer: ServerResponse, status: number): void {
  answer.writeHead(status, { 'content-type': 'application/json' })
  answer.end(STRUCK)
}

const toEngine = ({ method, url, headers }: IncomingMessage) => {
  const { 'transfer-encoding': _, ...others } = headers
  return request({ socketPath, method, path: url, headers: others, agent: false })
}

function pass(call: IncomingMessage, answer: ServerResponse, fault: Fault | undefined, held: Set<() => void>): void {
  const asked = toEngine(call)
  const breakOff = () => void call.socket.destroy()
  asked.on('error', breakOff)
  answer.on('close', () => asked.destroy())
  asked.on('response', (got) => {
    got.on('error', breakOff)
    if (fault === 'lost') {
      got.resume().on('end', breakOff)
      return
    }
    const give = () => {
      answer.writeHead(got.statusCode ?? 0, got.headers)
      answer.flushHeaders()
      if (fault === 'half') {
        got.once('data', (chunk: Buffer) => answer.write(chunk.subarray(0, chunk.length >> 1), breakOff))
        got.once('end', breakOff)
      } else got.pipe(answer)
    }
    if (fault === 'late') held.add(give)
    else give()
  })
  // The engine (20.10) has answered a short body, and closed, before it has heard that no more comes.
  if (call.headers['content-type'] === 'application/json') void buffer(call).then((body) => asked.end(body), breakOff)
  else call.pipe(asked)
}

/** A call that turns its connection into a stream both ways: bytes, from its head on. */
function passStream(
  { method, url, rawHeaders }: IncomingMessage,
  client: Duplex,
  { head, fault, held }: { head: Buffer; fault: Fault | undefined; held: Set<() => void> },
): void {
  const engine = connect({ path: socketPath, allowHalfOpen: true })
  const breakOff = () => {
    client.destroy()
    engine.destroy()
  }
  for (const end of [client, engine]) end.on('error', breakOff).on('close', breakOff)
  const lines = [`${method} ${url} HTTP/1.1`]
  for (let n = 0; n < rawHeaders.length; n += 2) lines.push(`${rawHeaders[n]}: ${rawHeaders[n + 1]}`)
  engine.write(`${lines.join('\r\n')}\r\n\r\n`)
  engine.write(head)
  client.pipe(engine)
  if (fault === undefined) engine.pipe(client)
  else
    engine.once('data', (first: Buffer) => {
      engine.pause()
      if (fault === 'lost') return breakOff()
      if (fault === 'half') return client.write(first.subarray(0, first.length >> 1), breakOff)
      held.add(() => {
        client.write(first)
        engine.pipe(client)
      })
    })
}
