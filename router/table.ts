/** From host names to what serves them; a change costs by the hosts that change. */
export class Hosts<T extends object> {
  private readonly exact = new Map<string, T>()
  private readonly below = new Map<string, T>()

  /** `host`: a name, or `*.` and a name for all below it. */
  put(host: string, entry: T): void {
    if (host.startsWith('*.')) this.below.set(host.slice(2), entry)
    else this.exact.set(host, entry)
  }

  remove(host: string): void {
    if (host.startsWith('*.')) this.below.delete(host.slice(2))
    else this.exact.delete(host)
  }

  /** `hostname`: lower case, without port. An exact name wins, then the longest `*.` pattern. */
  find(hostname: string): T | undefined {
    const entry = this.exact.get(hostname)
    if (entry !== undefined || this.below.size === 0) return entry
    for (let dot = hostname.indexOf('.'); dot !== -1; dot = hostname.indexOf('.', dot + 1)) {
      const match = this.below.get(hostname.slice(dot + 1))
      if (match !== undefined) return match
    }
    return undefined
  }
}
