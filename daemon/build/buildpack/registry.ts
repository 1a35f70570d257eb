import { urnOf } from '../../app/buildpack-name.ts'
import type { Daemon } from '../../daemon.ts'
import { messageOf } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { dialerFor, get, hostOf } from '../source/web.ts'
import { createFlights } from './flight.ts'
import { isOut, noteOut } from './outage.ts'

/**
 * The registry of buildpacks that `SLUICE_BUILDPACK_REGISTRY` names: Heroku's own protocol, as the `heroku` CLI speaks it. What it said is
 * remembered for a minute, because our own registry passes questions on for people without a token; when it does not answer in
 * limits.registryAnswer it is not asked again for limits.registryOutage.
 *
 *   GET /buildpacks/NS%2FNAME -> {blob_url, ...}, or 404
 */
export type Word =
  | { kind: 'known'; body: unknown }
  | { kind: 'unknown' }
  /** Switched off. */
  | { kind: 'none' }
  | { kind: 'unreachable' }

type Parts = Pick<Daemon, 'config' | 'clock' | 'log'>

const flights = createFlights<Word>()
const answers = new Map<string, { word: Word; until: number }>()

/** `path` begins with `/buildpacks`. */
export async function askRegistry(d: Parts, path: string, signal: AbortSignal): Promise<Word> {
  const { buildpackRegistry: base } = d.config
  if (base === undefined) return { kind: 'none' }
  const { origin } = new URL(base)
  const url = `${base.replace(/\/$/, '')}${path}`
  const before = answers.get(url)
  if (before && before.until > d.clock.now()) return before.word
  if (isOut(d.clock, origin)) return { kind: 'unreachable' }
  return flights.join(url, signal, async (end) => {
    const word = await ask(d, url, end)
    end.throwIfAborted()
    if (word.kind === 'unreachable') noteOut(d.clock, origin)
    else keep(url, { word, until: d.clock.now() + limits.registryKept })
    return word
  })
}

export const pathOf = (name: string): string => `/buildpacks/${encodeURIComponent(name)}`

/** Where the registry has the archive of a buildpack; undefined when it says nothing that can be used. */
export function blobUrl(body: unknown): string | undefined {
  const url = typeof body === 'object' && body !== null && 'blob_url' in body ? body.blob_url : undefined
  return typeof url === 'string' && /^https?:/.test(url) && URL.canParse(url) ? url : undefined
}

/** What the registry says of one, with its name in place of where it is: that is ours to know. */
export const withUrn = (body: unknown, name: string): object => ({ ...(body as object), blob_url: urnOf(name) })

function keep(url: string, answer: { word: Word; until: number }): void {
  answers.delete(url)
  answers.set(url, answer)
  const [oldest] = answers.keys()
  if (answers.size > limits.registryAnswers && oldest !== undefined) answers.delete(oldest)
}

async function ask(d: Parts, url: string, signal: AbortSignal): Promise<Word> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), limits.registryAnswer)
  try {
    const headers = { Accept: 'application/vnd.heroku+json; version=3.buildpack-registry' }
    const asked = new URL(url)
    const end = AbortSignal.any([signal, late.signal])
    const { message, status } = await get(dialerFor(d, [hostOf(asked)]), asked, { signal: end, headers })
    if (status === 404) {
      message.destroy()
      return { kind: 'unknown' }
    }
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of message) {
      size += chunk.length
      if (size > limits.registryAnswerSize) throw new Error('its answer is too long')
      chunks.push(chunk)
    }
    if (status !== 200) throw new Error(`it answered with status ${status}`)
    return { kind: 'known', body: JSON.parse(Buffer.concat(chunks).toString()) }
  } catch (error) {
    // Once for all that are asked for at the same time.
    if (!signal.aborted && !isOut(d.clock, new URL(url).origin))
      d.log.warn('the registry of buildpacks cannot be asked', { host: new URL(url).host, reason: messageOf(error) })
    return { kind: 'unreachable' }
  } finally {
    clearTimeout(timer)
  }
}
