/** From host names to what serves them. Pure. */
export interface Lookup<T> {
  /** `hostname`: lower case, without port. An exact name wins, then the longest `*.` pattern. */
  find(hostname: string): T | undefined
}

/** Throws a TypeError when two entries claim one host: the table is wrong, and guessing would show one app's users another app. */
export function compile<T extends { hosts: string[] }>(entries: readonly T[]): Lookup<T> {
  const exact = new Map<string, T>()
  const below = new Map<string, T>()
  for (const entry of entries)
    for (const host of entry.hosts) {
      const [names, name] = host.startsWith('*.') ? [below, host.slice(2)] : [exact, host]
      if ((names.get(name) ?? entry) !== entry) throw new TypeError(`two apps claim the host ${host}`)
      names.set(name, entry)
    }
  return {
    find(hostname) {
      const entry = exact.get(hostname)
      if (entry !== undefined || below.size === 0) return entry
      for (let dot = hostname.indexOf('.'); dot !== -1; dot = hostname.indexOf('.', dot + 1)) {
        const match = below.get(hostname.slice(dot + 1))
        if (match !== undefined) return match
      }
      return undefined
    },
  }
}
