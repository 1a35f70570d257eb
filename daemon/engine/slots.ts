/** At most `count` tasks at once, the rest in the order of their calls. A task that waits ends with the reason of its signal. */
export function createSlots(count: number): <T>(task: () => Promise<T>, signal: AbortSignal) => Promise<T> {
  let free = count
  const waiting: (() => void)[] = []

  const enter = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const admit = () => {
        signal.removeEventListener('abort', leave)
        free -= 1
        resolve()
      }
      const leave = () => {
        waiting.splice(waiting.indexOf(admit), 1)
        reject(signal.reason)
      }
      if (free > 0) return admit()
      waiting.push(admit)
      signal.addEventListener('abort', leave, { once: true })
    })

  return async (task, signal) => {
    signal.throwIfAborted()
    await enter(signal)
    try {
      return await task()
    } finally {
      free += 1
      waiting.shift()?.()
    }
  }
}
