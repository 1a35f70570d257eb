import { setTimeout as pause } from 'node:timers/promises'
import { ask } from '../api.ts'
import { printable } from '../output.ts'
import { Failure } from '../settings.ts'
import { at } from './command.ts'
import { colourful } from './log-colour.ts'
import { openStream } from './stream.ts'

export interface Wanted {
  /** Name of a dyno or a process type. */
  dyno?: string | undefined
  lines?: number
  source?: string | undefined
  tail: boolean
}

/** How long a tail looks for a platform that has gone: a restart takes seconds. */
const PATIENCE = 120_000
const AGAIN = 1000

/** Prints the newest lines of an app; with `tail` also those that come, over restarts of the platform, until Ctrl-C. */
export async function showLogs(app: string, { tail, ...wanted }: Wanted): Promise<void> {
  const { logplex_url: url } = await ask<{ logplex_url: string }>('POST', at('apps', app, 'log-sessions'), {
    body: { ...wanted, tail },
  })
  let last: string | undefined
  for (let lost = Date.now(); ; ) {
    try {
      for await (const { id, data } of eventsOf(url, last)) {
        last = id ?? last
        lost = Date.now()
        for (const line of data.trim().split(/\n+/)) print(line)
      }
    } catch (error) {
      if (!tail || error instanceof Ended || Date.now() - lost > PATIENCE) throw error
    }
    if (!tail) return
    await pause(AGAIN)
  }
}

/** On a terminal with colours, and without what would have power over it; a file gets every byte. */
function print(line: string): void {
  process.stdout.write(`${process.stdout.isTTY ? colourful(printable(line)) : line}\n`)
}

/** There is no coming back. */
class Ended extends Failure {}

interface Event {
  id: string | undefined
  data: string
}

/** Characters of an event that has not ended: lines of logs have 10 000 at most. */
const LONGEST = 1_000_000

/** Server-sent events (HTML standard, 9.2.6) until the connection ends, which is told where they had ended. */
async function* eventsOf(url: string, last: string | undefined): AsyncGenerator<Event> {
  const resumed = last === undefined ? {} : { 'last-event-id': last }
  const response = await openStream(url, { accept: 'text/event-stream', ...resumed })
  const { statusCode: status = 0 } = response
  if (status === 403 || status === 404) throw new Ended('Log stream timed out. Please try again.')
  if (status !== 200) throw new Failure(`The logs cannot be had: the answer is ${status}.`)
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    const events = `${text}${chunk}`.split('\n\n')
    text = events.pop() ?? ''
    if (text.length > LONGEST) throw new Ended('The log stream makes no sense.')
    for (const event of events) {
      const parsed = parse(event)
      if (parsed.data !== '') yield parsed
    }
  }
}

function parse(event: string): Event {
  const values = (name: string): string[] =>
    event
      .split('\n')
      .flatMap((line) => (line.startsWith(`${name}:`) ? [line.slice(name.length + 1).replace(/^ /, '')] : []))
  return { id: values('id').at(-1), data: values('data').join('\n') }
}
