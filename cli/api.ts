import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { USAGE } from './command.ts'
import { warn } from './output.ts'
import { platform } from './platform.ts'
import { type Answered, request } from './request.ts'
import { Failure, settings } from './settings.ts'
import { version } from './version.ts'

/** What the API has refused, with its status; 2, as the official CLI ends with then. */
export class Refused extends Failure {
  readonly status: number

  constructor(status: number, message: string) {
    super(message, USAGE)
    this.status = status
  }
}

export interface Wish {
  body?: unknown
  headers?: Record<string, string>
  /** False when an answer at once matters more than one at all. */
  patient?: boolean
  /** How long the platform may say nothing, ms. */
  silence?: number
}

/** Asks the platform's API; what it refuses ends the command in its words. Nothing (204) is undefined. */
export async function ask<Answer>(method: string, path: string, wish: Wish = {}): Promise<Answer> {
  return (await exchange<Answer>(method, path, wish)).body
}

/** A list that the API gives in parts, whole. */
export async function list<Item>(
  path: string,
  { range, ...wish }: { range?: string } & Pick<Wish, 'patient' | 'silence'> = {},
): Promise<Item[]> {
  const items: Item[] = []
  for (let next = range; ; ) {
    const { body, headers } = await exchange<Item[]>('GET', path, {
      ...wish,
      ...(next === undefined ? {} : { headers: { range: next } }),
    })
    items.push(...body)
    const after = headers['next-range']
    if (typeof after !== 'string' || body.length === 0) return items
    next = after
  }
}

/** The same with the headers of the answer. */
export async function exchange<Answer>(method: string, path: string, { body, headers = {}, ...how }: Wish) {
  const { url, token, ca, here } = await platform()
  const answered = await request(`${url}${path}`, {
    method,
    headers: {
      accept: 'application/vnd.heroku+json; version=3',
      authorization: `Bearer ${token}`,
      'request-id': randomUUID(),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...{ ca, ...how },
  })
  showWarnings(url, answered)
  return {
    body: read<Answer>(url, answered, here ? lostToken() : `Log in again: sluice login ${url}`),
    headers: answered.headers,
  }
}

/** The operator's own, which nobody logs in for. */
const lostToken = (): string =>
  `This host's token is not good any more. For a new one remove ${join(settings.data, 'admin.token')}, then restart the platform.`

/** The JSON of an answer; a refusal is thrown as the official CLI shows it, with what to do when it is for want of a login. */
export function read<Answer>(url: string, { status, headers, text }: Answered, unauthorized?: string): Answer {
  const ok = status >= 200 && status < 300
  if (ok && text.trim() === '') return undefined as Answer
  const body = parsed(text)
  if (ok && body !== undefined) return body as Answer
  if (ok) throw new Failure(`The answer of ${url} was cut off. The platform's log says why; then try again.`)
  const { id, message } = (body ?? {}) as { id?: string; message?: string }
  if (message === undefined)
    throw new Failure(`${url} answered with ${status}, and not as a platform does. Is that its address?`)
  const known = message.includes(String(headers['request-id']))
  throw new Refused(
    status,
    [
      message,
      '',
      ...(id === undefined ? [] : [`Error ID: ${id}`]),
      ...(status >= 500 && !known && headers['request-id'] ? [`Request ID: ${headers['request-id']}`] : []),
      ...(status === 401 && unauthorized !== undefined ? [unauthorized] : []),
    ].join('\n'),
  )
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

const shown = new Set<string>()

/** What the platform wants its people to know, once; and that it is newer than this command. */
function showWarnings(url: string, { headers }: Answered): void {
  const told = [headers['x-heroku-warning']].flat().map((text) => text?.replace(/^\s*warning:?\s*/i, '').trim())
  const platformVersion = String(headers['sluice-version'] ?? '')
  const older = isOlder(version, platformVersion)
    ? `The platform runs sluice ${platformVersion.slice(0, 20)}, this is ${version}. Update it: curl -fsSL ${url}/cli/install.sh | sh`
    : undefined
  for (const text of [...told, older])
    if (text && !shown.has(text)) {
      shown.add(text)
      warn(text)
    }
}

/** Whether commands may be missing: by the two first numbers. */
export function isOlder(own: string, other: string): boolean {
  const [a, b] = [own, other].map((text) => /^(\d+)\.(\d+)\./.exec(text))
  if (!a || !b) return false
  return Number(a[1]) < Number(b[1]) || (a[1] === b[1] && Number(a[2]) < Number(b[2]))
}
