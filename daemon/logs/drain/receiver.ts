import { limits } from '../../limits.ts'
import type { Line } from '../line.ts'
import type { Batch } from './batch.ts'
import { DeliveryError, type Dialer } from './dial.ts'
import { createHttpReceiver } from './http-receiver.ts'
import { httpFrame, syslogFrame } from './syslog.ts'
import { createSyslogReceiver } from './syslog-receiver.ts'
import type { DrainUrl } from './url.ts'

/** The other end of a drain, with at most one connection to it. */
export interface Receiver {
  /** Resolves when the receiver has the batch, as far as its protocol tells; rejects with DeliveryError, or Unwanted. */
  send(batch: Batch, signal: AbortSignal): Promise<void>
  /** Sends again what may have been lost with the last connection. */
  repeat(signal: AbortSignal): Promise<void>
  /** Ends the connection once what was sent has left; at once when `signal` aborts. */
  close(signal: AbortSignal): Promise<void>
}

/** The receiver has understood the batch and will never take it. */
export class Unwanted extends DeliveryError {}

/** How a drain's lines are written, how long one waits for others (ms), and who takes them. */
export interface Transport {
  frame(line: Line): Buffer
  gather: number
  /** `broken` is called when there is something to repeat. */
  receiver(broken: () => void): Receiver
}

/** A few ms make one write of a burst. */
const SYSLOG_GATHER = 5

export const transportOf = (dialer: Dialer, url: DrainUrl, token: string): Transport =>
  url.scheme === 'http' || url.scheme === 'https'
    ? { frame: httpFrame, gather: limits.drainGather, receiver: () => createHttpReceiver(dialer, url, token) }
    : {
        frame: (line) => syslogFrame(line, token),
        gather: SYSLOG_GATHER,
        receiver: (broken) => createSyslogReceiver(dialer, url, broken),
      }
