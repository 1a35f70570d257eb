import type { Account } from './line.ts'

/** Upper bounds of the latency histogram, ms; the last bucket has none. */
export const bounds = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000] as const

/** How a request ended, for those who count. */
export interface End {
  /** ms since the epoch */
  at: number
  /** ms */
  took: number
  /** What its log line says. */
  account: Account
}

type Counted = Pick<Account, 'status' | 'code' | 'bytes'>

/** What was counted of one app: numbers only, which add up over workers and over time. */
export interface Tally {
  /** By the first digit of the status. */
  classes: number[]
  /** By Heroku's error code. */
  codes: { [code: string]: number }
  /** Requests that took up to the bound of the same index, and above the one before. */
  buckets: number[]
  /** ms, of all requests. */
  took: number
  bytes: number
}

export interface AppTally {
  app: string
  tally: Tally
}

export const emptyTally = (): Tally => ({
  classes: [0, 0, 0, 0, 0, 0],
  codes: {},
  buckets: new Array(bounds.length + 1).fill(0),
  took: 0,
  bytes: 0,
})

/** `took`: ms. */
export function count(tally: Tally, took: number, { status, code, bytes }: Counted): void {
  const family = status >= 600 ? 0 : Math.trunc(status / 100)
  tally.classes[family] = (tally.classes[family] ?? 0) + 1
  if (code !== null) tally.codes[code] = (tally.codes[code] ?? 0) + 1
  let bucket = 0
  while (bucket < bounds.length && took > (bounds[bucket] ?? 0)) bucket++
  tally.buckets[bucket] = (tally.buckets[bucket] ?? 0) + 1
  tally.took += took
  tally.bytes += bytes
}

function add(to: Tally, more: Tally): void {
  for (const [i, n] of more.classes.entries()) to.classes[i] = (to.classes[i] ?? 0) + n
  for (const [i, n] of more.buckets.entries()) to.buckets[i] = (to.buckets[i] ?? 0) + n
  for (const [code, n] of Object.entries(more.codes)) to.codes[code] = (to.codes[code] ?? 0) + n
  to.took += more.took
  to.bytes += more.bytes
}

/** What was counted since the start, of so many apps each, and of the others together. */
export class Totals {
  readonly apps = new Map<string, Tally>()
  readonly others = emptyTally()
  private readonly most: number

  constructor(most: number) {
    this.most = most
  }

  add(tallies: readonly AppTally[]): void {
    for (const { app, tally } of tallies) add(this.of(app), tally)
  }

  /** The counts of apps that are no longer there move to the others, so that there is room for those that are. */
  keep(there: (app: string) => boolean): void {
    if (this.apps.size < this.most) return
    for (const [app, tally] of this.apps)
      if (!there(app)) {
        add(this.others, tally)
        this.apps.delete(app)
      }
  }

  list(): AppTally[] {
    return [...this.apps].map(([app, tally]) => ({ app, tally }))
  }

  private of(app: string): Tally {
    const known = this.apps.get(app)
    if (known !== undefined) return known
    if (this.apps.size >= this.most) return this.others
    const tally = emptyTally()
    this.apps.set(app, tally)
    return tally
  }
}
