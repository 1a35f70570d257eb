import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { WebSocketServer } from 'ws'
import type { Down, Table, TableChange } from '../../router/protocol.ts'
import { waitFor } from '../e2e/wait.ts'

/** A proxy that runs on the first processor; all else runs on the second. */
export interface Candidate {
  name: string
  pid: number
  port: number
  tlsPort: number
  stop(): void
}

export interface Sluice extends Candidate {
  /** Puts a table in force; resolves when the router has said so. */
  apply(table: Omit<Table, 'version'>): Promise<void>
  /** The same with a change of it. */
  change(change: Omit<TableChange, 'version' | 'base'>): Promise<void>
  /** Bytes of log lines that the daemon has got. */
  logged(): number
}

export const HOST = 'a.localhost'

const PROXY_CPU = '0'
const LOAD_CPU = '1'

export const onLoadCpu = (command: string[]): string[] => ['taskset', '-c', LOAD_CPU, ...command]

export function pinSelf(): void {
  spawnSync('taskset', ['-a', '-c', '-p', LOAD_CPU, String(process.pid)])
}

export const installed = (program: string): boolean => spawnSync('which', [program]).status === 0

/** nginx itself: a fixed answer for `/`, a file of 1 MB for `/1m`, and `/socket` of the dyno at the port `quiet`. */
export async function startUpstream(data: string, quiet: number): Promise<{ port: number; stop(): void }> {
  const port = await freePort()
  await writeFile(join(data, '1m'), Buffer.alloc(1024 * 1024, 'x'))
  const config = `worker_processes 1; daemon off; master_process off; pid ${data}/upstream.pid; error_log stderr crit;
events { worker_connections 19000; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 3600; sendfile on; tcp_nopush on; server_tokens off;
  server { listen 127.0.0.1:${port} backlog=4096;
    location = /1m { root ${data}; default_type application/octet-stream; }
    location = /socket { proxy_pass http://127.0.0.1:${quiet}; proxy_http_version 1.1; proxy_read_timeout 3600;
      proxy_set_header Connection upgrade; proxy_set_header Upgrade websocket; }
    location / { default_type text/plain; return 200 "hello world\\n"; } }
}
`
  await writeFile(join(data, 'upstream.conf'), config)
  const child = start(onLoadCpu(['nginx', '-e', 'stderr', '-c', join(data, 'upstream.conf')]))
  await accepting(port)
  return { port, stop: () => void child.kill('SIGKILL') }
}

/** Those that are installed here, in the order of the table; `missing` names the others. */
export async function startPeers(data: string, upstream: number): Promise<{ proxies: Candidate[]; missing: string[] }> {
  const proxies: Candidate[] = []
  const missing: string[] = []
  for (const peer of [nginx, haproxy, caddy])
    if (installed(peer.name)) proxies.push(await peer(data, upstream))
    else missing.push(peer.name)
  return { proxies, missing }
}

async function nginx(data: string, upstream: number): Promise<Candidate> {
  const [port, tlsPort] = [await freePort(), await freePort()]
  const config = `worker_processes 1; daemon off; pid ${data}/nginx.pid; error_log stderr crit;
events { worker_connections 19500; }
http {
  access_log off; server_tokens off; keepalive_requests 100000000; keepalive_timeout 3600;
  map $http_upgrade $upgrade { default upgrade; '' ''; }
  map $http_x_request_id $id { default $http_x_request_id; '' $request_id; }
  map $http_via $via { default "$http_via, 1.1 nginx"; '' "1.1 nginx"; }
  upstream app { server 127.0.0.1:${upstream}; keepalive 256; keepalive_requests 100000000; keepalive_timeout 90s; }
  server {
    listen 127.0.0.1:${port} backlog=4096; listen 127.0.0.1:${tlsPort} ssl http2 backlog=4096;
    ssl_certificate ${data}/tls/cert.pem; ssl_certificate_key ${data}/tls/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
    client_max_body_size 0; proxy_read_timeout 3600; proxy_send_timeout 3600;
    location / {
      proxy_pass http://app; proxy_http_version 1.1; add_header Via "1.1 nginx";
      proxy_set_header Host $host; proxy_set_header Connection $upgrade; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header X-Request-Id $id; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Request-Start $msec; proxy_set_header Via $via;
    }
  }
}
`
  await writeFile(join(data, 'nginx.conf'), config)
  return proxy('nginx', ['nginx', '-e', 'stderr', '-c', join(data, 'nginx.conf')], { port, tlsPort })
}

async function haproxy(data: string, upstream: number): Promise<Candidate> {
  const [port, tlsPort] = [await freePort(), await freePort()]
  const pair = await Promise.all(['cert.pem', 'key.pem'].map((name) => readFile(join(data, 'tls', name), 'utf8')))
  await writeFile(join(data, 'haproxy.pem'), pair.join(''))
  const config = `global
  nbthread 1
  maxconn 9900
defaults
  mode http
  timeout connect 5s
  timeout client 3600s
  timeout server 3600s
  timeout tunnel 3600s
frontend in
  bind 127.0.0.1:${port} backlog 4096
  bind 127.0.0.1:${tlsPort} ssl crt ${data}/haproxy.pem alpn h2,http/1.1 backlog 4096
  unique-id-format %[uuid()]
  http-request set-header X-Request-Id %[unique-id] unless { req.hdr(X-Request-Id) -m found }
  option forwardfor
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Request-Start %[date(0,ms)]
  http-request add-header Via "1.1 haproxy"
  http-response add-header Via "1.1 haproxy"
  default_backend app
backend app
  http-reuse always
  server app 127.0.0.1:${upstream} pool-max-conn 256
`
  await writeFile(join(data, 'haproxy.cfg'), config)
  return proxy('haproxy', ['haproxy', '-db', '-f', join(data, 'haproxy.cfg')], { port, tlsPort })
}

async function caddy(data: string, upstream: number): Promise<Candidate> {
  const [port, tlsPort] = [await freePort(), await freePort()]
  const pass = `reverse_proxy 127.0.0.1:${upstream} {
    header_up X-Request-Id {http.request.uuid}
    header_up X-Forwarded-Port {http.request.port}
    header_up X-Request-Start {time.now.unix_ms}
    header_up Via "1.1 caddy"
    header_down Via "1.1 caddy"
    transport http {
      keepalive_idle_conns_per_host 256
    }
  }`
  const config = `{
  admin off
  auto_https off
  log {
    output discard
  }
}
http://:${port} {
  ${pass}
}
https://:${tlsPort} {
  tls ${data}/tls/cert.pem ${data}/tls/key.pem
  ${pass}
}
`
  await writeFile(join(data, 'Caddyfile'), config)
  const command = ['caddy', 'run', '--adapter', 'caddyfile', '--config', join(data, 'Caddyfile')]
  return proxy('caddy', command, { port, tlsPort }, { GOMAXPROCS: '1', XDG_DATA_HOME: data, XDG_CONFIG_HOME: data })
}

/** The real process with one worker, which gets its table from a daemon that only speaks the protocol, and hands it its log lines. */
export async function startSluice(data: string, env: NodeJS.ProcessEnv = {}): Promise<Sluice> {
  const [port, tlsPort, api] = [await freePort(), await freePort(), await freePort()]
  await mkdir(join(data, 'router'), { recursive: true })
  await writeFile(join(data, 'router.token'), 'token\n')
  const server = new WebSocketServer({ port: api, host: '127.0.0.1', path: '/routers', perMessageDeflate: false })
  let version = 0
  let applied = -1
  let logged = 0
  server.on('connection', (socket) =>
    socket.on('message', (data) => {
      const text = String(data)
      if (text.startsWith('{"kind":"log"')) logged += text.length
      else if (text.startsWith('{"kind":"applied"')) applied = JSON.parse(text).version
    }),
  )
  const connected = once(server, 'connection')
  const main = join(import.meta.dirname, '..', '..', 'router', 'main.js')
  const settings = { SLUICE_DATA: data, SLUICE_PORT: String(api), SLUICE_ROUTER_HOST: '127.0.0.1' }
  const own = { SLUICE_HTTP_PORT: String(port), SLUICE_TLS_PORT: String(tlsPort), SLUICE_ROUTER_WORKERS: '1' }
  const running = await proxy('sluice', [process.execPath, main], { port, tlsPort }, { ...settings, ...own, ...env })
  await connected
  const tell = async (message: Down, wanted: number) => {
    const text = JSON.stringify(message)
    for (const socket of server.clients) socket.send(text)
    await waitFor('the table to be applied', () => applied === wanted, { every: 1 })
  }
  return {
    ...running,
    logged: () => logged,
    apply: (table) => tell({ kind: 'table', table: { version: ++version, ...table } }, version),
    change: (change) => tell({ kind: 'change', change: { base: version, version: ++version, ...change } }, version),
    stop() {
      running.stop()
      server.close()
      for (const socket of server.clients) socket.terminate()
    },
  }
}

async function proxy(
  name: string,
  command: string[],
  ports: { port: number; tlsPort: number },
  env: NodeJS.ProcessEnv = {},
): Promise<Candidate> {
  const child = start(['taskset', '-c', PROXY_CPU, ...command], env)
  await accepting(ports.port)
  await accepting(ports.tlsPort)
  return { name, pid: child.pid ?? 0, ...ports, stop: () => void child.kill('SIGTERM') }
}

function start([command = '', ...args]: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(command, args, { stdio: ['ignore', 'ignore', 'ignore'], env: { ...process.env, ...env } })
}

const accepting = (port: number): Promise<true> =>
  waitFor(
    `port ${port} to accept`,
    () =>
      new Promise<true | undefined>((resolve) => {
        const socket = connect({ port, host: '127.0.0.1' })
        socket.once('error', () => resolve(undefined))
        socket.once('connect', () => {
          socket.destroy()
          resolve(true)
        })
      }),
  )

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
