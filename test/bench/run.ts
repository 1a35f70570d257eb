import { readFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { call } from '../e2e/engine.ts'
import type { Platform } from '../e2e/platform.ts'

/** What the command prints first, and then ends. */
const WORD = 'ready'

/** From asking for a one-off dyno to its first byte, as any client that is running already sees it, ms. */
export async function measureRun(platform: Platform, app: string): Promise<number> {
  const ca = await readFile(join(platform.data, 'tls', 'ca.pem'))
  const began = performance.now()
  const { attach_url } = await platform.api<{ attach_url: string }>('POST', `/apps/${app}/dynos`, {
    ...{ attach: true, command: `echo ${WORD}`, env: { TERM: 'xterm', COLUMNS: 80, LINES: 24 } },
  })
  const { hostname, port, pathname } = new URL(attach_url)
  const socket = connect({ host: hostname, port: Number(port), ca, servername: 'localhost' })
  socket.write(`${pathname.replace(/^\/+/, '')}\r\n`)
  let text = ''
  for await (const chunk of socket) {
    text += chunk
    if (text.includes(WORD)) return performance.now() - began
  }
  throw new Error(`the one-off dyno said: ${text}`)
}

/** The same of `docker run -t` on the same image, without what the command itself takes to start: create, attach, start, first byte. */
export async function measureDockerRun(image: string): Promise<number> {
  const began = performance.now()
  const wanted = { Image: image, Cmd: ['bash', '-c', `echo ${WORD}`], Tty: true, AttachStdout: true, HostConfig: {} }
  const { Id } = await call<{ Id: string }>('POST', '/containers/create', wanted)
  try {
    const output = await attach(Id)
    await call('POST', `/containers/${Id}/start`)
    let text = ''
    for await (const chunk of output) {
      text += chunk
      if (text.includes(WORD)) return performance.now() - began
    }
    throw new Error(`the container said: ${text}`)
  } finally {
    await call('DELETE', `/containers/${Id}?force=true`)
  }
}

const attach = (id: string): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const socketPath = process.env.SLUICE_ENGINE || '/var/run/docker.sock'
    const path = `/containers/${id}/attach?stream=1&stdout=1`
    httpRequest({ socketPath, method: 'POST', path }, resolve).on('error', reject).end()
  })
