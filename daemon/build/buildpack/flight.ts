/**
 * Work that several want at once is done once: whoever comes while it goes on gets the same result. It ends early when all of them
 * have given up.
 */
export interface Flights<Result> {
  join(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<Result>): Promise<Result>
}

interface Flight<Result> {
  result: Promise<Result>
  end: AbortController
  waiting: number
}

export function createFlights<Result>(): Flights<Result> {
  const flights = new Map<string, Flight<Result>>()
  const start = (key: string, work: (signal: AbortSignal) => Promise<Result>): Flight<Result> => {
    const end = new AbortController()
    const flight: Flight<Result> = { end, waiting: 0, result: work(end.signal) }
    const leave = () => {
      if (flights.get(key) === flight) flights.delete(key)
    }
    flight.result.then(leave, leave)
    flights.set(key, flight)
    return flight
  }
  return {
    async join(key, signal, work) {
      signal.throwIfAborted()
      const flight = flights.get(key) ?? start(key, work)
      flight.waiting++
      let give = () => {}
      const given = new Promise<never>((_, reject) => {
        give = () => reject(signal.reason)
        signal.addEventListener('abort', give)
      })
      try {
        return await Promise.race([flight.result, given])
      } finally {
        signal.removeEventListener('abort', give)
        // The last who leaves an unfinished flight ends it, and nobody may join that any more.
        if (--flight.waiting === 0) {
          if (flights.get(key) === flight) flights.delete(key)
          flight.end.abort(signal.reason)
        }
      }
    },
  }
}
