import { formatTime, type Line } from './line.ts'

/** Lines that are not there, and since when (ms). */
export interface Loss {
  count: number
  since: number
  /** There were others, which nobody has counted. */
  more?: boolean
}

/** Whose reader or buffer was too slow, as Heroku names it: https://devcenter.heroku.com/articles/error-codes#l10-drain-buffer-overflow */
export type Where = 'drain' | 'tail' | 'dyno' | 'disk'

/** A line that tells of a loss, in Heroku's words. `who` is the dyno that wrote too fast. */
export function lossLine(where: Where, loss: Loss, who = ''): Line {
  const at = Date.now()
  const since = `${formatTime(loss.since).slice(0, 'YYYY-MM-DDThh:mm:ss'.length)}+00:00`
  const local = { at, source: 'app', dyno: 'log-shuttle' } as const
  const logplex = { at, source: 'heroku', dyno: 'logplex' } as const
  switch (where) {
    case 'drain':
      return { ...logplex, text: `Error L10 (output buffer overflow): ${amount(loss)} dropped since ${since}.` }
    case 'tail': {
      const text = `Error L11 (Tail buffer overflow) -> This tail session dropped ${amount(loss)} since ${since}.`
      return { ...logplex, text }
    }
    case 'dyno':
      return {
        ...local,
        text: `Error L12: ${amount(loss)} dropped since ${since}. ${who} prints faster than its log is taken.`,
      }
    case 'disk':
      return {
        ...local,
        text: `Error L13: ${amount(loss)} lost since ${since}. They were shown, but could not be stored.`,
      }
  }
}

function amount({ count, more }: Loss): string {
  if (!more) return `${count} messages`
  return count === 0 ? 'an unknown number of messages' : `${count} messages and others uncounted`
}
