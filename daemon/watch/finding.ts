import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'

/** What the doctor has found out about one thing. */
export interface Finding {
  /** Which thing, in a word or two. */
  check: string
  /** `warn`: it works, and somebody should know. `fail`: it does not, or soon will not. */
  state: 'ok' | 'warn' | 'fail'
  text: string
  /** What to do about it: a command, or a sentence. */
  remedy?: string
}

/** A look at one thing; `signal` aborts when its time is over. */
export interface Look {
  check: string
  look(signal: AbortSignal): Promise<Finding | Finding[]>
}

/** All at once, each bounded in time; one that breaks or takes too long is told and spoils no other. */
export async function examine(looks: readonly Look[], time: number = limits.doctorLook): Promise<Finding[]> {
  const found = await Promise.all(looks.map((one) => lookOnce(one, time)))
  return found.flat()
}

async function lookOnce({ check, look }: Look, time: number): Promise<Finding | Finding[]> {
  const ending = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Finding>((resolve) => {
    timer = setTimeout(() => {
      resolve({ check, state: 'warn', text: `It could not be looked at within ${time / 1000} seconds.` })
      ending.abort(new Error('the look took too long'))
    }, time)
  })
  try {
    return await Promise.race([look(ending.signal), late])
  } catch (error) {
    return { check, state: 'warn', text: `It could not be looked at: ${messageOf(error)}` }
  } finally {
    clearTimeout(timer)
  }
}

/** A few names, and how many there are besides. */
export function named(names: readonly string[]): string {
  const shown = names.slice(0, limits.doctorNames).join(', ')
  const more = names.length - limits.doctorNames
  return more > 0 ? `${shown} and ${more} more` : shown
}
