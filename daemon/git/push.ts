import { randomBytes } from 'node:crypto'
import { chmod, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Account } from '../account/account.ts'
import { record } from '../account/activity.ts'
import type { App } from '../app/app.ts'
import { listInstallations } from '../app/buildpack.ts'
import type { deploy } from '../build/deploy.ts'
import { asUserError } from '../build/refusal.ts'
import type { Source } from '../build/source/blob.ts'
import { refusePointers } from '../build/source/pointer.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf, UserError } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { openCommit } from './commit.ts'
import { commitOf, pointHead, repositoryPath } from './repository.ts'
import { createSideband } from './sideband.ts'

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
  /** By app, the push that moves its branch: from the start of its deploy to the end of its git process, when the branch has moved. */
  const moving = new Map<string, string>()
  const socket = join(d.config.data, 'hook.sock')
  const server = createServer({ requestTimeout: 0 }, (req, res) => {
    const id = String(req.headers['x-sluice-push'] ?? '')
    const push = pushes.get(id)
    pushes.delete(id)
    if (!push || req.method !== 'POST' || req.url !== '/deploy') {
      res.writeHead(403).end('\n !     This push is not known to the platform.\n\n')
      return
    }
    res.writeHead(200, { 'content-type': 'text/plain', trailer: 'x-sluice-exit' })
    res.flushHeaders()
    if (moving.has(push.app.id)) {
      const why = `Another push to ${push.app.name} is in progress. Push again when it has ended.`
      return answer(req, res, { accepted: false, why })
    }
    moving.set(push.app.id, id)
    void receive(d, deploy, push, req, res)
  })
  await listen(server, socket)

  return {
    socket,
    begin(push) {
      const id = randomBytes(24).toString('base64url')
      pushes.set(id, push)
      const end = () => {
        pushes.delete(id)
        if (moving.get(push.app.id) === id) moving.delete(push.app.id)
      }
      return { id, end }
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
  if (await overtaken(d, push.app, req)) return answer(req, res, { accepted: false, why: OVERTAKEN })
  const sideband = createSideband(res, `See \`heroku logs --app ${push.app.name} --dyno build -n 1500\`.`)
  const signal = AbortSignal.any([push.signal, hookGone.signal])
  const commit = String(req.headers['x-sluice-commit'])
  let source: Source | undefined
  try {
    source = await openPushed(d, push.app, req, { output: sideband.write, signal })
    await failpoint('push.received')
    await record(d.db, push.account, { app: push.app.id, text: `Pushed ${commit.slice(0, 8)}`, now: d.clock.now() })
    await deploy({
      app: push.app,
      account: push.account,
      version: commit,
      sourceKey: source.key,
      archive: source.archive,
      output: sideband.write,
      signal,
    })
    await failpoint('push.served')
    await pointHead(d.config.data, push.app.id, String(req.headers['x-sluice-ref'])).catch((error: unknown) =>
      d.log.warn('the default branch was not set', { app: push.app.id, error }),
    )
    sideband.end()
    answer(req, res, { accepted: true })
  } catch (error) {
    if (source) sideband.write(`Verifying deploy...\n\n!\tPush rejected to ${push.app.name}.\n\n`)
    sideband.end()
    if (error instanceof UserError && source) return answer(req, res, { accepted: false })
    const refusal = asUserError(error)
    const interrupted = refusal !== error && signal.aborted
    const why = interrupted ? messageOf(signal.reason) : refusal.message
    if (refusal !== error && !interrupted) d.log.error('deploy failed', { app: push.app.id, error })
    else tell(d, push.app, `Push of ${commit.slice(0, 8)} refused: ${why.replaceAll('\n', ' ')}`)
    answer(req, res, { accepted: false, why })
  } finally {
    source?.archive.destroy()
  }
}

/** What was pushed, still in quarantine. Throws UserError for what cannot be built. */
async function openPushed(
  d: Daemon,
  app: App,
  req: IncomingMessage,
  asked: { output(text: string): void; signal: AbortSignal },
): Promise<Source> {
  const { 'x-sluice-commit': commit, 'x-sluice-quarantine': name } = req.headers
  const repository = repositoryPath(d.config.data, app.id)
  // Without new objects there is none.
  const quarantine = /^\w[\w-]*$/.test(String(name)) ? join(repository, 'objects', String(name)) : undefined
  const source = await openCommit(d, { repository, quarantine }, { commit: String(commit), ...asked })
  try {
    refusePointers(
      source.pointers,
      (await listInstallations(d, app.id)).map(({ url }) => url),
    )
    return source
  } catch (error) {
    source.archive.destroy()
    throw error
  }
}

const tell = (d: Daemon, app: App, text: string): void =>
  d.logs.write(app.id, { at: d.clock.now(), source: 'app', dyno: 'api', text })

const OVERTAKEN = 'Another push has moved the branch since this one began. Fetch and look, then push again.'

/** True when git would refuse to move the branch after the deploy, because it is no longer where the client saw it. */
async function overtaken(d: Daemon, app: App, req: IncomingMessage): Promise<boolean> {
  const { 'x-sluice-ref': ref, 'x-sluice-old': old } = req.headers
  return (await commitOf(d.config.data, app.id, String(ref))) !== old
}

/** Ends the hook's request. `why` is for the user, where nothing has been said yet. */
function answer(
  req: IncomingMessage,
  res: ServerResponse,
  { accepted, why }: { accepted: boolean; why?: string },
): void {
  if (why !== undefined) res.write(`\n !     ${why.replaceAll('\n', '\n !     ')}\n\n`)
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
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
  // Until here the data folder, which only root may enter, keeps others out.
  await chmod(path, 0o600)
}
