/**
 * The engine (20.10) gives up on what a process printed last when its reader takes longer than two seconds over it: up to some 200 kB that
 * are on their way through pipes then. It also takes its time to tell the exit code. So the launch script prints a mark with the code when
 * the command has ended, and more behind it than fits on that way. What comes before the mark is complete; what comes after it is worth
 * nothing, and may be lost. An app that forges its mark betrays itself only.
 */

/** Bytes: two pipes, and the buffers of the engine and of its shim, are less. */
export const PADDING = 256 * 1024

/** Digits, because a terminal may be told to change letters. */
export const markOf = (id: string): string => [...id].map((one) => one.charCodeAt(0)).join('')

const CODE = 3
const FORGED = 255

export interface Cut {
  /** What of this is output. The beginning of a mark is held back until it is known to be none. */
  take(data: Buffer): Buffer
  /** What was held back, when no more comes. */
  rest(): Buffer
  /** Once the mark was seen. */
  readonly exitCode: number | undefined
}

/** Ends a stream at its mark, however it is cut into pieces. */
export function createCut(mark: string): Cut {
  // Control characters on both sides: in what people print, hardly any data must be held back because a mark may begin with it.
  const sought = Buffer.from(`\x1e${mark}\x1e`)
  let held: Buffer = Buffer.alloc(0)
  let exitCode: number | undefined
  return {
    get exitCode() {
      return exitCode
    },
    take(data) {
      if (exitCode !== undefined) return Buffer.alloc(0)
      const all = held.length === 0 ? data : Buffer.concat([held, data])
      const at = all.indexOf(sought)
      const end = at < 0 ? all.length - begunIn(all, sought) : at
      const code = at < 0 ? '' : all.subarray(at + sought.length, at + sought.length + CODE).toString()
      // An app that forges its mark may have anything behind it.
      if (code.length === CODE) exitCode = /^\d+$/.test(code) ? Number(code) : FORGED
      held = all.subarray(end)
      return all.subarray(0, end)
    },
    rest() {
      const last = exitCode === undefined ? held : Buffer.alloc(0)
      held = Buffer.alloc(0)
      return last
    },
  }
}

/** How many bytes at the end may be the beginning of what is sought. */
function begunIn(data: Buffer, sought: Buffer): number {
  for (let size = Math.min(sought.length - 1, data.length); size > 0; size--)
    if (data.subarray(data.length - size).equals(sought.subarray(0, size))) return size
  return 0
}
