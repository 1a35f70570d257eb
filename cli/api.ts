import { platform } from './platform.ts'
import { Failure } from './settings.ts'

/** Asks the platform's API; what it refuses ends the command in its words. */
export async function ask<Answer>(
  method: string,
  path: string,
  { body: sent, headers: more = {} }: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { url, token } = await platform()
  const headers = {
    authorization: `Bearer ${token}`,
    accept: 'application/vnd.heroku+json; version=3',
    ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
    ...more,
  }
  const body = sent === undefined ? {} : { body: JSON.stringify(sent) }
  const response = await fetch(`${url}${path}`, { method, headers, ...body }).catch(() => {
    throw new Failure(`The platform does not answer at ${url}. Is it started?`)
  })
  const answer = (await response.json().catch(() => {
    throw new Failure(`The answer of ${url} was cut off. The platform's log says why; then try again.`)
  })) as Answer & { message?: string }
  if (!response.ok) throw new Failure(answer.message ?? `The API answered with ${response.status}.`)
  return answer
}
