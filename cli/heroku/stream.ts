import type { IncomingMessage } from 'node:http'
import { platform, trusted } from '../platform.ts'
import { Failure } from '../settings.ts'
import { agent } from '../version.ts'

/** How long a stream may be silent, ms; the platform gives a sign of life every 20 s. */
const SILENCE = 90_000

/** An answer that is read while it comes. Rejects with a Failure when there is none; its status is the caller's to judge. */
export async function openStream(url: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const trust = await trusted(await platform())
  const { get } = url.startsWith('https:') ? await import('node:https') : await import('node:http')
  return new Promise((resolve, reject) => {
    const options = { headers: { 'user-agent': agent, ...headers }, ...trust }
    const request = get(url, options, resolve)
    request.setTimeout(SILENCE, () => request.destroy(new Failure('The stream has gone silent. Please try again.')))
    request.once('error', (error) =>
      reject(
        error instanceof Failure ? error : new Failure(`${new URL(url).origin} cannot be reached: ${error.message}`),
      ),
    )
  })
}
