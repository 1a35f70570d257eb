import { Agent, request } from 'node:http'

/** Steady load on one app, from clients that keep their connections and from clients that do not. */
export interface Load {
  answered: number
  /** What became of requests that got no 200. */
  failures: string[]
  /** Ends it; resolves when every request has ended. */
  stop(): Promise<void>
}

/** Requests that wait at the same time; a client with more would be held for a flood. */
export const MOST = 64

/** `every`: ms between two requests. */
export function startLoad(port: number, every: number, host = '127.0.0.1'): Load {
  const kept = new Agent({ keepAlive: true, maxSockets: 8 })
  const fresh = new Agent({ keepAlive: false })
  const underway = new Set<Promise<void>>()
  const load: Load = {
    answered: 0,
    failures: [],
    async stop() {
      clearInterval(timer)
      await Promise.all(underway)
      kept.destroy()
    },
  }
  const one = (agent: Agent): Promise<void> =>
    new Promise((resolve) => {
      const failed = (what: string) => {
        load.failures.push(what)
        resolve()
      }
      const req = request({ host, port, agent, headers: { host: 'a.localhost' } }, (res) => {
        res.resume()
        res.on('error', (error) => failed(`body: ${error.message}`))
        res.on('end', () => {
          if (res.statusCode !== 200) return failed(`status ${res.statusCode}`)
          load.answered++
          resolve()
        })
      })
      req.on('error', (error) => failed(error.message))
      req.end()
    })
  let turn = 0
  const timer = setInterval(() => {
    if (underway.size >= MOST) return
    const promise = one(turn++ % 2 === 0 ? kept : fresh)
    underway.add(promise)
    void promise.then(() => underway.delete(promise))
  }, every)
  return load
}
