import type { Placed } from './engine.ts'

/** Of a container, as the engine lists it. */
export interface Line {
  Id: string
  State: string
  NetworkSettings?: { Networks: Record<string, { IPAddress: string }> }
}

/** Containers that were listed, as what is known of each. */
export type Listing = (lines: readonly Line[]) => Promise<Placed[]>

/** Inspections at once. */
const LOOKS_AT_ONCE = 16

/**
 * A list lacks exit codes and times, and to inspect a container costs as much as to list dozens. So a container is inspected when it is
 * seen for the first time and when its line has changed: it is made, runs and ends once, and nothing else of it changes.
 */
export function createListing(inspect: (container: string) => Promise<Placed | null>): Listing {
  let known = new Map<string, { line: string; placed: Placed }>()

  return async (lines) => {
    const now: typeof known = new Map()
    const rest = [...lines]
    const look = async () => {
      for (let one = rest.pop(); one !== undefined; one = rest.pop()) {
        const line = lineOf(one)
        const before = known.get(one.Id)
        const placed = before?.line === line ? before.placed : await inspect(one.Id)
        if (placed) now.set(one.Id, { line, placed })
      }
    }
    await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, look))
    known = now
    return [...now.values()].map(({ placed }) => placed)
  }
}

/** What tells that it has started, ended or moved. */
const lineOf = ({ State, NetworkSettings }: Line): string =>
  [State, ...Object.values(NetworkSettings?.Networks ?? {}).map(({ IPAddress }) => IPAddress)].join(' ')
