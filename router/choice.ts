import { panics } from './protocol.ts'

/** Which backend a request goes to. Pure but for chance, which is handed in. */

/** A backend as choosing sees it. */
export interface Candidate {
  /** Requests and tunnels that it has. */
  readonly users: { readonly size: number }
  /** Until when it is out of the choice, ms since the epoch. */
  readonly quarantine: { readonly until: number }
  /** A check of it fails. */
  readonly unwell: boolean
}

/**
 * Those that may get a request: not tried by it, with fewer than `most` users, and not out, which is in quarantine or unwell. When more
 * than half of an app's backends are out it is a shared cause, or the router whose view is wrong, and being out means nothing (panic), so
 * that it never empties an app. Those that are out are also the last resort of a request that has tried all others.
 */
export function eligible<B extends Candidate>(
  serving: readonly B[],
  { tried, most, now }: { tried: readonly B[]; most: number; now: number },
): readonly B[] {
  if (tried.length === 0 && !serving.some((one) => one.users.size >= most || isOut(one, now))) return serving
  const open = serving.filter((one) => one.users.size < most && !tried.includes(one))
  if (panics(serving.filter((one) => isOut(one, now)).length, serving.length)) return open
  const well = open.filter((one) => !isOut(one, now))
  return well.length > 0 ? well : open
}

const isOut = ({ quarantine, unwell }: Candidate, now: number): boolean => unwell || quarantine.until > now

/** The less busy of two random ones, which spreads load nearly as well as looking at all of them. */
export function lessBusy<B extends Candidate>(from: readonly B[], random: () => number = Math.random): B | undefined {
  if (from.length < 2) return from[0]
  const first = Math.floor(random() * from.length)
  const second = (first + 1 + Math.floor(random() * (from.length - 1))) % from.length
  const [one, other] = [from[first], from[second]]
  return one !== undefined && other !== undefined && other.users.size < one.users.size ? other : one
}
