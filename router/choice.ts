/** Which backend a request goes to. Pure but for chance, which is handed in. */

/** A backend as choosing sees it. */
export interface Candidate {
  /** Requests and tunnels that it has. */
  readonly users: { readonly size: number }
  /** Until when it is out of the choice, ms since the epoch. */
  readonly quarantine: { readonly until: number }
}

/**
 * Those that may get a request: not tried by it, with fewer than `most` users, and not in quarantine. When more than half of an app's
 * backends are in quarantine it is the router whose view is wrong, and the quarantine means nothing (panic), so that it never empties
 * an app. Those in quarantine are also the last resort of a request that has tried all others.
 */
export function eligible<B extends Candidate>(
  serving: readonly B[],
  { tried, most, now }: { tried: readonly B[]; most: number; now: number },
): readonly B[] {
  if (tried.length === 0 && !serving.some((one) => one.users.size >= most || one.quarantine.until > now)) return serving
  const open = serving.filter((one) => one.users.size < most && !tried.includes(one))
  const out = serving.filter((one) => one.quarantine.until > now)
  if (out.length * 2 > serving.length) return open
  const well = open.filter((one) => one.quarantine.until <= now)
  return well.length > 0 ? well : open
}

/** The less busy of two random ones, which spreads load nearly as well as looking at all of them. */
export function lessBusy<B extends Candidate>(from: readonly B[], random: () => number = Math.random): B | undefined {
  if (from.length < 2) return from[0]
  const first = Math.floor(random() * from.length)
  const second = (first + 1 + Math.floor(random() * (from.length - 1))) % from.length
  const [one, other] = [from[first], from[second]]
  return one !== undefined && other !== undefined && other.users.size < one.users.size ? other : one
}
