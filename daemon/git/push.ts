import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Account } from '../account/account.ts'
import type { App } from '../app/app.ts'
import type { deploy } from '../build/deploy.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf, UserError } from '../errors.ts'
import { pointHead } from './repository.ts'

export type DeployRequest = Parameters<typeof deploy>[1]
export type Deploy = (request: DeployRequest) => Promise<unknown>

/** A git push that is running: who pushes to what, and whether the client is still there. */
interface Push {
  app: App
  account: Account
  signal: AbortSignal
}

/** The daemon's end of the `pre-receive` hook: a socket that only root can open, where a push shows the one-time id that it was given. */
export interface Pushes {
  readonly socket: string
  /** Registers a push while its git process runs; gives the id for the hook's environment and a function that ends it. */
  begin(push: Push): { id: string; end(): void }
  close(): Promise<void>
}

export async function createPushes(d: Daemon, deploy: Deploy): Promise<Pushes> {
  const pushes = new Map<string, Push>()
  const socket = join(d.config.data, 'hook.sock')
  const server = createServer({ requestTimeout: 0 }, (req, res) => {
    const id = String(req.headers['x-sluice-push'] ?? '')
    const push = pushes.get(id)
    pushes.delete(id)
    if (!push || req.method !== 'POST' || req.url !== '/deploy') {
      res.writeHead(403).end('\n !     This push is not known to the platform.\n\n')
      return
    }
    void receive(d, deploy, push, req, res)
  })
  await listen(server, socket)

  return {
    socket,
    begin(push) {
      const id = randomBytes(24).toString('base64url')
      pushes.set(id, push)
      return { id, end: () => void pushes.delete(id) }
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function receive(
  d: Daemon,
  deploy: Deploy,
  push: Push,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const hookGone = new AbortController()
  res.on('close', () => hookGone.abort(new Error('The push was interrupted.')))
  res.writeHead(200, { 'content-type': 'text/plain', trailer: 'x-sluice-exit' })
  res.flushHeaders()
  let accepted = false
  try {
    await deploy({
      app: push.app,
      account: push.account,
      version: String(req.headers['x-sluice-commit']),
      sourceKey: String(req.headers['x-sluice-tree']),
      archive: req,
      output: (text) => void (res.writable && res.write(text)),
      signal: AbortSignal.any([push.signal, hookGone.signal]),
    })
    accepted = true
    await pointHead(d.config.data, push.app.id, String(req.headers['x-sluice-ref'])).catch((error: unknown) =>
      d.log.warn('the default branch was not set', { app: push.app.id, error }),
    )
  } catch (error) {
    if (!(error instanceof UserError)) {
      d.log.error('deploy failed', { app: push.app.id, error })
      res.write(
        `\n !     ${push.signal.aborted ? messageOf(push.signal.reason) : 'Something went wrong on the platform. Its log has the cause.'}\n`,
      )
    }
  }
  req.resume()
  res.addTrailers({ 'x-sluice-exit': accepted ? '0' : '1' })
  res.end()
}

/** A socket file that nobody answers on is left over from a crash; one that answers belongs to a daemon that is still running. */
async function listen(server: Server, path: string): Promise<void> {
  const taken = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => resolve(true)).on('error', () => resolve(false))
    probe.unref()
    probe.on('connect', () => probe.destroy())
  })
  if (taken) throw new Error('Another daemon is running with the same data folder. Stop it first, or set SLUICE_DATA.')
  await rm(path, { force: true })
  const before = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
  } finally {
    process.umask(before)
  }
}
