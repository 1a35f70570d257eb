/** A queue with one reader: what is put in comes out in order; after `close` the reader gets the rest and then the end. */
export interface Channel<T> {
  put(value: T): void
  close(): void
  read(): AsyncIterable<T>
}

export function createChannel<T>(): Channel<T> {
  const values: T[] = []
  let closed = false
  let wake = () => {}
  return {
    put(value) {
      if (!closed) values.push(value)
      wake()
    },
    close() {
      closed = true
      wake()
    },
    async *read() {
      for (;;) {
        for (let value = values.shift(); value !== undefined; value = values.shift()) yield value
        if (closed) return
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}
