import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { limits } from './limits.ts'
import { type Figures, metricsText, troubleOf } from './metrics.ts'
import { mayScrape } from './scrape.ts'

interface Options {
  host: string
  port: number
  /** Where the token is. */
  data: string
  figures(): Figures
  warn(sentence: string): void
}

/**
 * `GET /healthz`: 200 when a table is in force and every worker answers, else 503 and why. `GET /metrics`: in Prometheus' text format.
 * On an address that is not of the loopback only with the token, since it names apps.
 */
export class StatusServer {
  private readonly server: Server
  private readonly options: Options
  private closed = false
  private timer: NodeJS.Timeout | undefined

  constructor(options: Options) {
    this.options = options
    this.server = createServer({ requestTimeout: 10_000, keepAliveTimeout: 1000 }, (req, res) => {
      this.answer(req, res).catch(() => res.destroy())
    })
    this.server.maxConnections = 64
  }

  private async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { host, data } = this.options
    const trouble = troubleOf(this.options.figures())
    res.setHeader('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
    if (req.method !== 'GET' && req.method !== 'HEAD') res.writeHead(405, { allow: 'GET, HEAD' }).end()
    else if (req.url === '/metrics' && !isLoopback(host) && !(await mayScrape(data, req.headers.authorization)))
      res.writeHead(401, { 'www-authenticate': 'Bearer' }).end(UNKNOWN)
    else if (req.url === '/metrics') res.end(metricsText(this.options.figures()))
    else if (req.url !== '/healthz') res.writeHead(404).end('There are /healthz and /metrics.\n')
    else if (trouble === undefined) res.end('ok\n')
    else res.writeHead(503).end(`${trouble}\n`)
  }

  /** A port that is taken keeps nobody from serving; it is said once and tried again, since a router that we succeed may have it. */
  open(said = false): void {
    const { host, port } = this.options
    this.server.once('error', (error) => {
      if (!said) this.options.warn(`The status port ${port} cannot be used (${error.message}); it is tried again.`)
      if (!this.closed) this.timer = setTimeout(() => this.open(true), limits.statusRetry)
    })
    this.server.listen(port, host, () => this.server.removeAllListeners('error').on('error', () => {}))
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    this.server.close()
    this.server.closeAllConnections()
  }
}

const UNKNOWN = "Send the token that is in metrics.token in the router's data folder, as `Authorization: Bearer`.\n"

const isLoopback = (host: string): boolean => host === '::1' || host.startsWith('127.')
