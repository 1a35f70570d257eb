import { createHmac } from 'node:crypto'
import { request } from 'node:http'
import { limits } from '../limits.ts'
import { DeliveryError, type Dialer, deliveryError, withDeadline } from '../logs/drain/dial.ts'
import type { Receiver } from './webhook.ts'

/** How a request went: the status of the answer, or in words why there was none. */
export type Outcome = { code: number; error: null } | { code: null; error: string }

/**
 * One POST on a connection of its own, to an address that was checked (logs/drain/dial.ts). Redirects are not followed, because they
 * could lead to where webhooks may not go. Resolves after `limits.webhookSend` at the latest, however slow the receiver is; rejects only
 * when `signal` ends it.
 */
export async function send(dialer: Dialer, receiver: Receiver, body: Buffer, signal: AbortSignal): Promise<Outcome> {
  const late = new DeliveryError('L13', `no answer within ${limits.webhookSend / 1000} seconds`)
  try {
    const code = await withDeadline(limits.webhookSend, late, signal, (either) => post(dialer, receiver, body, either))
    return { code, error: null }
  } catch (error) {
    if (signal.aborted) throw error
    return { code: null, error: deliveryError(error).message }
  }
}

async function post(dialer: Dialer, { url, secret, authorization }: Receiver, body: Buffer, signal: AbortSignal) {
  const socket = await dialer.dial(url, signal)
  const host = url.host.includes(':') ? `[${url.host}]` : url.host
  const headers = {
    Host: url.port === (url.scheme === 'https' ? 443 : 80) ? host : `${host}:${url.port}`,
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    'User-Agent': 'Sluice-Webhooks',
    'Heroku-Webhook-Hmac-SHA256': createHmac('sha256', secret).update(body).digest('base64'),
    Connection: 'close',
    ...(authorization === undefined ? {} : { Authorization: authorization }),
  }
  const path = url.path
  return new Promise<number>((resolve, reject) => {
    let status: number | undefined
    const sent = request({ createConnection: () => socket, method: 'POST', path, headers, signal })
    sent.on('error', reject)
    sent.on('response', (answer) => {
      let bytes = 0
      status = answer.statusCode ?? 0
      answer
        .on('error', () => undefined)
        .on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > limits.webhookAnswer) answer.destroy()
        })
    })
    sent.on('close', () => {
      socket.destroy()
      if (status !== undefined) resolve(status)
      else reject(new DeliveryError('L13', 'connection closed without an answer'))
    })
    sent.end(body)
  })
}
