import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../e2e/ports.ts'
import { eventually, portOf } from './router-rig.ts'

/** A request as somebody has read it, whole. */
export interface Reading {
  method: string
  target: string
  fields: [name: string, value: string][]
  body: string
  /** Port of the client that sent it. */
  from: number
}

/** nginx says it in this field. */
const FROM = 'x-client-port'

/** Node's own parser, strict, that writes down what it reads. */
export interface Recorder {
  port: number
  readings: Reading[]
  close(): void
}

export async function record(): Promise<Recorder> {
  const readings: Reading[] = []
  const server = createServer({ maxHeaderSize: 128 * 1024, keepAliveTimeout: 60_000 }, async (req, res) => {
    const body: Buffer[] = []
    const from = Number(req.headers[FROM] ?? req.socket.remotePort)
    req.on('data', (chunk) => body.push(chunk))
    req.on('error', () => {})
    req.on('end', () => {
      readings.push(readingOf(req, Buffer.concat(body), from))
      res.end('ok')
    })
  })
  server.maxHeadersCount = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: portOf(server),
    readings,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function readingOf(req: IncomingMessage, body: Buffer, from: number): Reading {
  const fields = Array.from({ length: req.rawHeaders.length / 2 }, (_, i): [string, string] => [
    (req.rawHeaders[2 * i] ?? '').toLowerCase(),
    req.rawHeaders[2 * i + 1] ?? '',
  ])
  const said = fields.filter(([name]) => name !== FROM)
  return { method: req.method ?? '', target: req.url ?? '', fields: said, body: body.toString('latin1'), from }
}

/** nginx, as lenient as it is by default but for names and sizes, in front of a recorder of its own. */
export async function recordBehindNginx(): Promise<Recorder> {
  const behind = await record()
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'sluice-nginx-'))
  const path = (name: string): string => join(folder, name)
  await writeFile(
    path('nginx.conf'),
    `daemon off; master_process off; pid ${path('pid')}; error_log ${path('error.log')} crit;
events { worker_connections 512; }
http {
  access_log off; underscores_in_headers on; ignore_invalid_headers off; merge_slashes off;
  client_header_buffer_size 128k; large_client_header_buffers 4 128k; client_max_body_size 0; keepalive_requests 1000000;
  client_body_temp_path ${path('body')}; proxy_temp_path ${path('proxy')}; fastcgi_temp_path ${path('fastcgi')};
  uwsgi_temp_path ${path('uwsgi')}; scgi_temp_path ${path('scgi')};
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${behind.port}; proxy_http_version 1.1; proxy_ignore_client_abort on;
      proxy_set_header Host $http_host; proxy_set_header Connection ""; proxy_set_header ${FROM} $remote_port;
    }
  }
}
`,
  )
  const child = spawn('/usr/sbin/nginx', ['-e', path('error.log'), '-c', path('nginx.conf')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  let failed = false
  child.on('error', () => {
    failed = true
  })
  let up = false
  await eventually(
    () => {
      const socket = connect(port, '127.0.0.1', () => {
        up = true
        socket.destroy()
      })
      socket.on('error', () => {})
      if (failed || child.exitCode !== null)
        throw new Error('nginx does not start; is nginx-light installed (systemd/setup.sh --for=test)?')
      return up
    },
    () => 'nginx to accept',
  )
  return {
    ...behind,
    port,
    close() {
      child.kill('SIGKILL')
      behind.close()
      rm(folder, { recursive: true, force: true }).catch(() => {})
    },
  }
}

/** Sends the pieces, each in a segment of its own, half-closes, and waits for the end of all answers. */
export async function converse(port: number, pieces: string[]): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  socket.setNoDelay(true)
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
  })
  socket.on('end', () => socket.end())
  const closed = once(socket, 'close')
  await once(socket, 'connect')
  for (const piece of pieces) {
    if (socket.destroyed || socket.writableEnded) break
    socket.write(piece, 'latin1')
    if (pieces.length > 1) await new Promise(setImmediate)
  }
  socket.end()
  const late = setTimeout(() => {
    text += '(no end)'
    socket.destroy()
  }, 5000)
  await closed
  clearTimeout(late)
  return text
}

/** The router itself answers a request for another host. */
const isForApp = ({ fields }: Reading): boolean =>
  fields.some(([name, value]) => name === 'host' && /^a\.localhost\.?(:\d{1,5})?$/i.test(value))

/** Sends it and returns what was read of it: `count` requests, or as many as came before the other side closed or nothing moved any more. */
export async function show({ port, readings }: Recorder, text: string, count: number): Promise<Reading[]> {
  const socket = connect({ port, host: '127.0.0.1' })
  let closed = false
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
  })
  socket.resume()
  await once(socket, 'connect')
  const from = socket.localPort
  const read = () => readings.filter((reading) => reading.from === from && isForApp(reading))
  socket.write(text, 'latin1')
  let quiet = Date.now()
  for (let before = 0; !closed && read().length < count && Date.now() < quiet + QUIET; before = read().length) {
    if (read().length > before) quiet = Date.now()
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  socket.destroy()
  return read()
}

const QUIET = 100
