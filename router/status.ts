import { createServer, type Server } from 'node:http'
import { limits } from './limits.ts'
import { type Figures, metricsText, troubleOf } from './metrics.ts'

/**
 * `GET /healthz`: 200 when a table is in force and every worker answers, else 503 and why. `GET /metrics`: in Prometheus' text format.
 * Loopback only, since it names apps.
 */
export class StatusServer {
  private readonly server: Server
  private readonly port: number
  private readonly warn: (sentence: string) => void
  private closed = false
  private timer: NodeJS.Timeout | undefined

  constructor(options: { port: number; figures(): Figures; warn(sentence: string): void }) {
    this.port = options.port
    this.warn = options.warn
    this.server = createServer({ requestTimeout: 10_000, keepAliveTimeout: 1000 }, (req, res) => {
      const figures = options.figures()
      const trouble = troubleOf(figures)
      res.setHeader('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
      if (req.method !== 'GET' && req.method !== 'HEAD') res.writeHead(405, { allow: 'GET, HEAD' }).end()
      else if (req.url === '/metrics') res.end(metricsText(figures))
      else if (req.url !== '/healthz') res.writeHead(404).end('There are /healthz and /metrics.\n')
      else if (trouble === undefined) res.end('ok\n')
      else res.writeHead(503).end(`${trouble}\n`)
    })
    this.server.maxConnections = 64
  }

  /** A port that is taken keeps nobody from serving; it is said once and tried again, since a router that we succeed may have it. */
  open(said = false): void {
    this.server.once('error', (error) => {
      if (!said) this.warn(`The status port ${this.port} cannot be used (${error.message}); it is tried again.`)
      if (!this.closed) this.timer = setTimeout(() => this.open(true), limits.statusRetry)
    })
    this.server.listen(this.port, '127.0.0.1', () => this.server.removeAllListeners('error').on('error', () => {}))
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    this.server.close()
    this.server.closeAllConnections()
  }
}
