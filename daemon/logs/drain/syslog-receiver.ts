import type { Socket } from 'node:net'
import { limits } from '../../limits.ts'
import { DeliveryError, type Dialer, withDeadline } from './dial.ts'
import type { Receiver } from './receiver.ts'
import type { DrainUrl } from './url.ts'

/**
 * Syslog over TCP has no receipts: what was written is with the kernel, and may be lost with the connection. What was written within
 * `limits.drainUnsure` before a connection broke is therefore written again, once.
 *
 * A receiver that ends its connections soon after they were opened has taken nothing: from then on a batch counts as delivered only when
 * its connection has lasted as long.
 *
 *   none -- send, repeat --> connected -- the other side ended it, or an error --> none, with something to repeat
 *                                      -- idle for `limits.drainIdle`, or closed by us --> none
 */
export function createSyslogReceiver(dialer: Dialer, url: DrainUrl, broken: () => void): Receiver {
  let socket: Socket | undefined
  let opened = 0
  let suspect = false
  let recent: { body: Buffer; at: number }[] = []
  const doubtful: Buffer[] = []

  const lost = (): void => {
    if (Date.now() - opened < limits.drainUnsure) suspect = true
    const since = Date.now() - limits.drainUnsure
    doubtful.push(...recent.filter(({ at }) => at >= since).map(({ body }) => body))
    socket = undefined
    recent = []
    if (doubtful.length > 0) broken()
  }

  const connection = async (signal: AbortSignal): Promise<Socket> => {
    if (socket) return socket
    const fresh = await dialer.dial(url, signal)
    socket = fresh
    opened = Date.now()
    fresh.on('error', () => undefined).resume()
    fresh.setTimeout(limits.drainIdle, () => {
      socket = undefined
      recent = []
      fresh.destroySoon()
    })
    fresh.once('close', () => {
      if (socket === fresh) lost()
    })
    return fresh
  }

  const put = async (body: Buffer, signal: AbortSignal): Promise<void> => {
    const here = await connection(signal)
    await write(here, body, signal)
    if (!suspect) return
    await lasting(here, opened + limits.drainUnsure - Date.now(), signal)
    suspect = false
  }

  const repeat = async (signal: AbortSignal): Promise<void> => {
    for (let body = doubtful[0]; body; body = doubtful[0]) {
      await put(body, signal)
      doubtful.shift()
    }
  }

  return {
    repeat,
    async send({ body }, signal) {
      await repeat(signal)
      await put(body, signal)
      recent.push({ body, at: Date.now() })
      recent = newest(recent)
    },
    close: (signal) =>
      new Promise((resolve) => {
        const last = socket
        if (!last) return resolve()
        socket = undefined
        last.once('close', () => resolve())
        if (signal.aborted) last.destroy()
        else signal.addEventListener('abort', () => last.destroy(), { once: true })
        last.destroySoon()
      }),
  }
}

/** Resolves when the connection is still there after `ms`; rejects when the other side ends it before. */
function lasting(socket: Socket, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      clearTimeout(timer)
      socket.removeListener('close', ended)
      signal.removeEventListener('abort', over)
    }
    const over = (): void => {
      leave()
      resolve()
    }
    const ended = (): void => {
      leave()
      reject(new DeliveryError('L13', 'the receiver ends its connections at once'))
    }
    const timer = setTimeout(over, Math.max(0, ms))
    if (socket.closed) return ended()
    socket.once('close', ended)
    signal.addEventListener('abort', over)
  })
}

/** Resolves when the kernel has all of it. */
function write(socket: Socket, body: Buffer, signal: AbortSignal): Promise<void> {
  const late = new DeliveryError('L13', `nothing was taken for ${limits.drainSend / 1000} seconds`)
  return withDeadline(
    limits.drainSend,
    late,
    signal,
    (either) =>
      new Promise<void>((resolve, reject) => {
        const give = () => socket.destroy()
        either.addEventListener('abort', give, { once: true })
        if (either.aborted) give()
        socket.write(body, (error) => (error ? reject(error) : resolve()))
      }),
  )
}

function newest<Written extends { body: Buffer; at: number }>(recent: Written[]): Written[] {
  const since = Date.now() - limits.drainUnsure
  let bytes = 0
  const kept: Written[] = []
  for (const written of recent.toReversed()) {
    bytes += written.body.length
    if (written.at < since || bytes > limits.drainUnsureBytes) break
    kept.push(written)
  }
  return kept.reverse()
}
