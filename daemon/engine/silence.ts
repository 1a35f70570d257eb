/**
 * Looks now and then whether a followed log is rightly silent: an engine (20.10) that has rotated files while it was behind may wait
 * for ever for a file that is no longer written to. Soon after much output, seldom and ever less often after little.
 *
 *   listening -- silent for a while --> looking -- nothing newer is stored --> listening, for twice as long
 *                                               -- something newer is --> stalled
 */
export interface Silence {
  /** Something was read; `busy` when it was much. */
  heard(busy: boolean): void
  end(): void
}

const SOON = 300
const SELDOM = 60_000
const LONGEST = 600_000

/** Those who began at once, as all do when the daemon starts, do not look at once. */
const sometime = (wait: number): number => (wait === SOON ? wait : wait * (1 + Math.random()))

/** `behind` asks whether the engine stores more than was read. `stalled` is called once at most. */
export function createSilence(behind: () => Promise<boolean>, stalled: () => void): Silence {
  let wait = SELDOM
  let heard = 0
  let ended = false
  let timer = setTimeout(look, sometime(wait))

  async function look(): Promise<void> {
    const before = heard
    const missing = await behind().catch(() => false)
    if (ended) return
    if (missing && heard === before) return stalled()
    if (heard === before) wait = Math.min(LONGEST, wait * 2)
    timer = setTimeout(look, sometime(wait))
  }

  return {
    heard(busy) {
      heard++
      const next = busy ? SOON : SELDOM
      if (next === wait) {
        timer.refresh()
        return
      }
      wait = next
      clearTimeout(timer)
      timer = setTimeout(look, wait)
    },
    end() {
      ended = true
      clearTimeout(timer)
    },
  }
}
