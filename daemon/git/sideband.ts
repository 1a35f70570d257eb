import type { Writable } from 'node:stream'
import { limits } from '../limits.ts'

/**
 * What git shows after `remote:`. A build goes on however slowly its client reads: so much waits for the client, and what comes then is
 * left out of its copy, with a line that says so and the end of it. The stored output and the app's log have it all.
 *
 *   passing -- more than `limits.pushOutput` waits --> leaving out -- drained, or the end --> told, passing
 */
export interface Sideband {
  write(chunk: string | Buffer): void
  /** Nothing more will be written; says what was left out, if anything was. */
  end(): void
}

/** Of what was left out, so that its reader learns how it went on. */
const KEPT = 8 * 1024

export function createSideband(to: Writable, whole: string, most: number = limits.pushOutput): Sideband {
  let leftOut = 0
  let end = Buffer.alloc(0)

  const tell = (): void => {
    if (leftOut === 0) return
    const shown = end.subarray(end.indexOf('\n') + 1)
    const count = (leftOut - shown.length).toLocaleString('en')
    leftOut = 0
    end = Buffer.alloc(0)
    to.write(`\n !     ${count} bytes of output were left out here, because they were not read in time.\n`)
    to.write(` !     ${whole}\n\n`)
    to.write(shown)
  }

  const leaveOut = (chunk: Buffer): void => {
    if (leftOut === 0) to.once('drain', tell)
    leftOut += chunk.length
    end = Buffer.concat([end, chunk.subarray(-KEPT)]).subarray(-KEPT)
  }

  return {
    write(chunk) {
      if (!to.writable) return
      if (leftOut > 0 || to.writableLength > most) leaveOut(Buffer.from(chunk))
      else to.write(chunk)
    },
    end: () => to.writable && tell(),
  }
}
