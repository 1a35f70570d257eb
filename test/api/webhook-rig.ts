import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Certificate, ensureCertificates } from '../../daemon/route/certificate.ts'
import { type Answer, type Host, startHost } from './host.ts'

/** Webhooks from the API to receivers over real sockets. */
export interface WebhookRig {
  host: Host
  /** The name of a new app. */
  createApp(): Promise<string>
  /** Makes a webhook for releases, unless `body` says something else. */
  hook(app: string, body: object): Promise<Answer>
  /** Makes a release. */
  set(app: string, value: string): Promise<Answer>
  /** As the API lists them, the oldest first. */
  // biome-ignore lint/suspicious/noExplicitAny: the API's JSON
  deliveries(app: string): Promise<any[]>
  settled(app: string, status: string, count?: number): Promise<void>
  startReceiver(secure?: boolean): Promise<Receiver>
  close(): Promise<void>
}

interface Taken {
  method: string
  path: string
  headers: IncomingHttpHeaders
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: payloads of every shape
  json: any
}

export interface Receiver {
  url: string
  taken: Taken[]
  /** What to answer; 0 is nothing at all. */
  status: number
  headers: Record<string, string>
  /** Of its answer's body. */
  bytes: number
  /** Waits for the nth request. */
  nth(count: number): Promise<Taken>
}

/** `settings` are the daemon's. */
export async function startRig(settings: Record<string, string> = {}): Promise<WebhookRig> {
  const trust = await mkdtemp(join(tmpdir(), 'sluice-webhook-'))
  const pair = await ensureCertificates({ data: trust, domain: 'localhost', api: { hosts: [] } })
  const bundle = join(trust, 'tls', 'ca.pem')
  const host = await startHost({ SLUICE_DRAIN_ALLOW: '127.0.0.1,::1', SLUICE_CA_BUNDLE: bundle, ...settings })
  const { request } = host
  const closing: (() => void)[] = []
  const deliveries: WebhookRig['deliveries'] = async (app) =>
    (await request('GET', `/apps/${app}/webhook-deliveries`, { headers: { range: 'seq ..; order=asc' } })).json
  return {
    host,
    createApp: async () => (await request('POST', '/apps', { body: {} })).json.name,
    hook: (app, body) =>
      request('POST', `/apps/${app}/webhooks`, { body: { level: 'notify', include: ['api:release'], ...body } }),
    set: (app, value) => request('PATCH', `/apps/${app}/config-vars`, { body: { VALUE: value } }),
    deliveries,
    settled: (app, status, count = 1) =>
      until(
        async () => (await deliveries(app)).filter((one) => one.status === status).length >= count,
        () => `${count} deliveries of ${app} that are ${status}`,
      ),
    async startReceiver(secure = false) {
      const { receiver, close } = await listen(secure ? pair : undefined)
      closing.push(close)
      return receiver
    },
    async close() {
      for (const close of closing) close()
      await host.close()
      await rm(trust, { recursive: true, force: true })
    },
  }
}

async function listen(pair: Certificate | undefined): Promise<{ receiver: Receiver; close(): void }> {
  const receiver: Receiver = {
    url: '',
    taken: [],
    status: 204,
    headers: {},
    bytes: 0,
    async nth(count) {
      await until(
        () => receiver.taken.length >= count,
        () => `${count} requests, there are ${receiver.taken.length}`,
      )
      return receiver.taken[count - 1] as Taken
    },
  }
  const listener: RequestListener = async (req, res) => {
    let text = ''
    for await (const chunk of req) text += chunk
    const { method = '', url = '', headers } = req
    receiver.taken.push({ method, path: url, headers, text, json: JSON.parse(text) })
    if (receiver.status > 0) res.writeHead(receiver.status, receiver.headers).end(Buffer.alloc(receiver.bytes))
  }
  const server: Server = pair ? createHttpsServer(pair, listener) : createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  receiver.url = `${pair ? 'https' : 'http'}://localhost:${(server.address() as AddressInfo).port}/hooks?a=b`
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { receiver, close }
}

export async function until(test: () => boolean | Promise<boolean>, what: () => string): Promise<void> {
  const deadline = Date.now() + 50_000
  while (!(await test())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
