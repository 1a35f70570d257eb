import { adminToken, apiUrl, Failure } from './settings.ts'

/** Asks the API of this platform with the operator's token; what it refuses ends the command in its words. */
export async function ask<Answer>(
  method: string,
  path: string,
  { body: sent, headers: more = {} }: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const headers = {
    authorization: `Bearer ${await adminToken()}`,
    accept: 'application/vnd.heroku+json; version=3',
    ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
    ...more,
  }
  const body = sent === undefined ? {} : { body: JSON.stringify(sent) }
  const response = await fetch(`${apiUrl}${path}`, { method, headers, ...body }).catch(() => {
    throw new Failure(`The platform does not answer at ${apiUrl}. Start it first: npm start.`)
  })
  const answer = (await response.json().catch(() => {
    throw new Failure(`The answer of ${apiUrl} was cut off. The platform's log says why; then try again.`)
  })) as Answer & { message?: string }
  if (!response.ok) throw new Failure(answer.message ?? `The API answered with ${response.status}.`)
  return answer
}
