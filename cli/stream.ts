import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { read } from './api.ts'
import { platform, trusted } from './platform.ts'
import { Failure } from './settings.ts'
import { agent } from './version.ts'

/** An answer that is read as it comes, however long it is; what the platform refuses ends the command in its words. */
export async function stream(method: string, path: string): Promise<IncomingMessage> {
  const at = await platform()
  const { url, token } = at
  const headers = {
    accept: 'application/vnd.heroku+json; version=3',
    authorization: `Bearer ${token}`,
    ...{ 'request-id': randomUUID(), 'user-agent': agent },
  }
  const { request } = url.startsWith('https:') ? await import('node:https') : await import('node:http')
  const sent: ClientRequest = request(`${url}${path}`, { method, headers, ...(await trusted(at)) })
  sent.end()
  const [answer] = (await once(sent, 'response').catch((error: Error) => {
    throw new Failure(`${url} cannot be reached: ${error.message}`)
  })) as [IncomingMessage]
  const { statusCode: status = 0 } = answer
  if (status >= 300) read(url, { status, headers: answer.headers, text: await text(answer) })
  return answer
}
