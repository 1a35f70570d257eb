import { spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { Account } from '../account/account.ts'
import { bearerOf } from '../account/authorization.ts'
import { passwordIn } from '../account/credential.ts'
import { allows } from '../account/scope.ts'
import { type App, findApp } from '../app/app.ts'
import { requirePermission } from '../app/permission.ts'
import { stepBack } from '../build/command.ts'
import { asUserError } from '../build/refusal.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf, UserError } from '../errors.ts'
import { clientOf } from '../forwarded.ts'
import { limits } from '../limits.ts'
import { createIntake } from './intake.ts'
import { createPushes, type Deploy, type Pushes } from './push.ts'
import { asPush } from './repack.ts'
import {
  ensureRepository,
  gitEnvironment,
  installHook,
  receiveSettings,
  repositoryPath,
  sweepRepositories,
} from './repository.ts'

/** Smart HTTP for `https://HOST/APP.git` (https://git-scm.com/docs/http-protocol). */
export interface Git {
  /** True when the request is for a repository, and is being answered. */
  handle(req: IncomingMessage, res: ServerResponse): boolean
  close(): Promise<void>
}

const PATH = /^\/([a-z0-9-]{1,64})\.git\/(info\/refs|git-upload-pack|git-receive-pack)$/

type Service = 'git-upload-pack' | 'git-receive-pack'

interface Call {
  service: Service
  app: App
  account: Account
  advertise: boolean
  req: IncomingMessage
  res: ServerResponse
}

interface Setup {
  d: Daemon
  hooks: string
  pushes: Pushes
  /** A client that reads nothing for so many ms is let go. */
  stall: number
}

export async function createGit(d: Daemon, deploy: Deploy, stall: number = limits.gitStall): Promise<Git> {
  const hooks = await installHook(d.config.data, join(import.meta.dirname, 'hook.js'))
  const pushes = await createPushes(d, deploy)
  const apps = await d.db.selectFrom('apps').select('id').execute()
  await sweepRepositories(
    d.config.data,
    apps.map(({ id }) => id),
  )
  return {
    handle(req, res) {
      const [path = '', query = ''] = (req.url ?? '').split('?', 2)
      const [, name, action = ''] = PATH.exec(path) ?? []
      if (name === undefined) return false
      answer({ d, hooks, pushes, stall }, { name, action, query: new URLSearchParams(query), req, res }).catch(
        (error: unknown) => {
          d.log.error('a git request failed', { error })
          say(res, 500, asUserError(error).message)
        },
      )
      return true
    },
    close: () => pushes.close(),
  }
}

interface Asked {
  name: string
  action: string
  query: URLSearchParams
  req: IncomingMessage
  res: ServerResponse
}

async function answer(setup: Setup, { name, action, query, req, res }: Asked): Promise<void> {
  const bearer = await bearerOf(setup.d.db, passwordIn(req.headers.authorization), setup.d.clock.now())
  if (!bearer) {
    res.setHeader('www-authenticate', 'Basic realm="Sluice"')
    return say(res, 401, 'Authentication failed. The password is an API token: see `heroku auth:token`.')
  }
  const account: Account = { ...bearer.account, from: clientOf(req) }
  const advertise = action === 'info/refs'
  const service = serviceNamed(advertise ? query.get('service') : action)
  if (!service) return say(res, 403, 'Only the smart HTTP protocol is supported. Update git.')
  if (!allows(bearer.scopes, service === 'git-upload-pack' ? 'read' : 'write'))
    return say(res, 403, 'The scope of this OAuth authorization does not allow access to this resource.')
  if (req.method !== (advertise ? 'GET' : 'POST')) return say(res, 405, 'Method not allowed.')
  try {
    const app = await findApp(setup.d.db, account, name)
    await requirePermission(setup.d, app, account, 'deploy')
    await serve(setup, { service, app, account, advertise, req, res })
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    if (error.id === 'forbidden') return say(res, 403, messageOf(error))
    say(res, 404, `${messageOf(error)} Is the remote's URL right? See \`git remote -v\` and \`heroku apps\`.`)
  }
}

const serviceNamed = (name: string | null): Service | undefined =>
  name === 'git-upload-pack' || name === 'git-receive-pack' ? name : undefined

/** Runs git over the request's body; the answer goes out as it comes. */
async function serve(setup: Setup, call: Call): Promise<void> {
  const repository = await ensureRepository(setup.d.config.data, call.app.id)
  const clientGone = new AbortController()
  const pushes = call.service === 'git-receive-pack' && !call.advertise
  if (pushes) await setup.d.disk.makeRoom()
  const push = pushes ? setup.pushes.begin({ ...call, signal: clientGone.signal }) : undefined
  try {
    const work = () => runGit(setup, call, { repository, push: push?.id, clientGone })
    await (pushes ? asPush(call.app.id, work) : work())
  } finally {
    push?.end()
  }
}

interface Run {
  repository: string
  /** The one-time id of the push, for the hook. */
  push: string | undefined
  clientGone: AbortController
}

async function runGit(
  { d, hooks, pushes, stall }: Setup,
  call: Call,
  { repository, push, clientGone }: Run,
): Promise<void> {
  const { service, advertise, req, res } = call
  const command = service.slice('git-'.length)
  const settings = service === 'git-receive-pack' ? receiveSettings(hooks) : []
  const args = [...settings, command, '--stateless-rpc', ...(advertise ? ['--advertise-refs'] : []), repository]
  const protocol = String(req.headers['git-protocol'] ?? '')
  const env = {
    ...gitEnvironment(),
    ...(/^[a-z0-9=:]{1,100}$/.test(protocol) ? { GIT_PROTOCOL: protocol } : {}),
    ...(push ? { SLUICE_SOCKET: pushes.socket, SLUICE_PUSH: push } : {}),
  }
  res.writeHead(200, {
    'content-type': `application/x-${service}-${advertise ? 'advertisement' : 'result'}`,
    'cache-control': 'no-cache',
  })
  if (advertise && !(command === 'upload-pack' && protocol.includes('version=2'))) res.write(serviceLine(service))
  const git = spawn('git', args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
  stepBack(git)
  git.stderr.on('data', (text: Buffer) =>
    d.log.warn('git said', { app: call.app.id, text: text.toString().slice(0, 1000) }),
  )
  git.stdin.on('error', () => {})
  const body = req.headers['content-encoding'] === 'gzip' ? req.pipe(createGunzip()) : req
  body.on('error', () => git.stdin.destroy())
  let letGo = false
  let refused = false
  const intake = createIntake(d.config.data, (answer) => {
    refused = true
    d.log.warn('a push was refused while it came', { app: call.app.id })
    git.stdin.end()
    res.write(answer)
  })
  intake.on('error', () => req.destroy())
  body.pipe(intake).pipe(git.stdin)
  const output = git.stdout.filter(() => !refused)
  const relayed = relay(output, res, stall, () => {
    letGo = true
    d.log.warn('a git client reads nothing and was let go', { app: call.app.id })
  }).catch((error: unknown) => d.log.warn('output of git was cut off', { app: call.app.id, error }))
  res.on('close', () => {
    if (res.writableFinished) return
    // git goes on, so that the ref moves exactly when the deploy was accepted; only its output has nobody left to read it
    git.stdin.end()
    intake.destroy()
    if (!letGo) clientGone.abort(new Error('The push was interrupted.'))
  })
  await new Promise<void>((resolve) => {
    git.on('close', () => resolve())
    git.on('error', (error) => {
      d.log.error('git could not be started', { error })
      resolve()
    })
  })
  await relayed
  if (refused) await finished(intake.resume()).catch(() => {})
  res.end()
}

/**
 * Passes git's output on as fast as the client reads. A client that takes nothing for `stall` ms is let go, but not its deploy: it may
 * only sleep. What has nobody to read it is dropped, so that git runs to its end.
 */
async function relay(from: Readable, to: ServerResponse, stall: number, letGo: () => void): Promise<void> {
  for await (const chunk of from) {
    if (to.destroyed || to.write(chunk) || (await movedOn(to, stall))) continue
    letGo()
    to.destroy()
  }
}

/** Whether, within `ms`, the client took what it was sent, or went away. */
function movedOn(to: ServerResponse, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const moved = (): void => done(true)
    const timer = setTimeout(() => done(false), ms)
    const done = (how: boolean): void => {
      clearTimeout(timer)
      to.off('drain', moved).off('close', moved)
      resolve(how)
    }
    to.on('drain', moved).on('close', moved)
  })
}

/** The first packet of an advertisement: `# service=…` and a flush. */
function serviceLine(service: Service): string {
  const line = `# service=${service}\n`
  return `${(line.length + 4).toString(16).padStart(4, '0')}${line}0000`
}

/** git shows a plain text to its user, after `remote:`. */
function say(res: ServerResponse, status: number, text: string): void {
  if (!res.headersSent) res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
  res.end(`${text}\n`)
}

/** Removes the repository of a destroyed app. */
export const removeRepository = (d: Daemon, app: string): Promise<void> =>
  rm(repositoryPath(d.config.data, app), { recursive: true, force: true })
