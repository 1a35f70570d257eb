import { EventEmitter } from 'node:events'
import type { WebSocket } from 'ws'
import { parseDown, type Up } from '../../router/protocol.ts'
import type { Link, Router } from './router.ts'

/** A websocket to the daemon's end of the control connection, which a simulated router speaks into. */
export class Socket extends EventEmitter implements Link {
  readonly OPEN = 1
  readyState = 1
  readonly router: Router
  private heardAt: number

  constructor(router: Router, now: number) {
    super()
    this.router = router
    this.heardAt = now
  }

  up(message: Up): void {
    if (this.readyState === this.OPEN) this.emit('message', JSON.stringify(message))
  }

  broken(): void {
    if (this.readyState !== this.OPEN) return
    this.readyState = 3
    this.emit('close', 1006)
  }

  send(text: string): void {
    if (this.readyState === this.OPEN) this.router.hear(parseDown(text))
  }

  /** The daemon closes it. */
  close(): void {
    this.broken()
    this.router.hangUp()
  }

  /** In true time nothing happens. */
  ping(): void {}
  terminate(): void {}

  /** What the daemon's pings come to: an answer, or the end of one that has been silent for so many ms. */
  pinged(now: number, silence: number): void {
    if (!this.router.isSilent) {
      this.heardAt = now
      this.emit('pong')
    } else if (now - this.heardAt > silence) this.close()
  }

  get webSocket(): WebSocket {
    return this as unknown as WebSocket
  }
}
