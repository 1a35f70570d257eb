import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Account } from '../account/account.ts'
import { bearerOf } from '../account/authorization.ts'
import { passwordIn } from '../account/credential.ts'
import { allows, type Scope } from '../account/scope.ts'
import { findApp } from '../app/app.ts'
import { requirePermission } from '../app/permission.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf } from '../errors.ts'
import { clientOf } from '../forwarded.ts'
import { limits } from '../limits.ts'
import { type Call, forward, pass } from './call.ts'
import { listRepositories, pageOf } from './catalog.ts'
import { getManifest, putManifest } from './manifest.ts'
import { parsePath, repositoryOf, type Wanted } from './name.ts'
import { HEADERS, RegistryError, refusalOf, refuse } from './refusal.ts'
import { type Uploads, upload } from './upload.ts'

/** `/v2/` of the API port: https://distribution.github.io/distribution/spec/api/ and OCI's, for apps as repositories. */
export interface Endpoint {
  /** True when the request is for the registry, and is being answered. */
  handle(req: IncomingMessage, res: ServerResponse): boolean
}

export function createEndpoint(d: Daemon): Endpoint {
  const uploads: Uploads = new Map()
  return {
    handle(req, res) {
      const path = (req.url ?? '').split('?', 1)[0] ?? ''
      if (path !== '/v2' && !path.startsWith('/v2/')) return false
      const gone = new AbortController()
      res.once('close', () => gone.abort(new Error('The client has gone.')))
      res.once('finish', () => endUnread(req))
      answer(d, uploads, { req, res, signal: gone.signal }).catch((error: unknown) => {
        if (gone.signal.aborted) return
        const refusal = refusalOf(error)
        if (!refusal || refusal.cause !== undefined)
          d.log.warn('a request to the image registry failed', { path, error: messageOf(refusal?.cause ?? error) })
        const broken = new RegistryError('UNAVAILABLE', 'Something went wrong on the platform. Its log has the cause.')
        if (!req.complete) res.setHeader('connection', 'close')
        refuse(res, refusal ?? broken)
      })
      return true
    },
  }
}

/** Of a body that nobody wants so much is read that its sender reads why, then the connection ends. */
function endUnread(req: IncomingMessage): void {
  if (req.complete) return
  req.resume()
  const { socket } = req
  const late = setTimeout(() => socket.destroy(), limits.bodyTime)
  const ended = (): void => clearTimeout(late)
  req.once('end', ended)
  socket.once('close', ended)
}

interface Asked {
  req: IncomingMessage
  res: ServerResponse
  signal: AbortSignal
}

async function answer(d: Daemon, uploads: Uploads, { req, res, signal }: Asked): Promise<void> {
  const bearer = await bearerOf(d.db, passwordIn(req.headers.authorization), d.clock.now())
  if (!bearer) throw new RegistryError('UNAUTHORIZED', 'The password is an API token: see `heroku auth:token`.')
  const account: Account = { ...bearer.account, from: clientOf(req) }
  const [path = '', search] = (req.url ?? '').split('?', 2)
  const query = new URLSearchParams(search)
  const wanted = parsePath(path)
  const writes = requireAllowed(wanted, req.method ?? 'GET', bearer.scopes)
  if (wanted.kind === 'ping') return say(res, {})
  if (wanted.kind === 'catalog') return sayCatalog(res, await listRepositories(d, account), query)
  const app = await findApp(d.db, account, wanted.app)
  await requirePermission(d, app, account, writes ? 'deploy' : 'view')
  const name = `${wanted.app}/${wanted.type}`
  const call: Call = {
    ...wanted,
    account,
    app,
    name,
    repository: repositoryOf(app, wanted.type),
    query,
    req,
    res,
    signal,
  }
  const work = (): Promise<void> => performed(d, uploads, wanted.kind, call)
  return writes ? d.registry.write(work) : work()
}

const METHODS: Record<Wanted['kind'], { reads: string[]; writes: string[] }> = {
  ping: { reads: ['GET', 'HEAD'], writes: [] },
  catalog: { reads: ['GET'], writes: [] },
  tags: { reads: ['GET'], writes: [] },
  manifest: { reads: ['GET', 'HEAD'], writes: ['PUT'] },
  blob: { reads: ['GET', 'HEAD'], writes: [] },
  upload: { reads: [], writes: ['POST', 'GET', 'PATCH', 'PUT', 'DELETE'] },
}

/** Whether it writes. Throws RegistryError for what nobody may do, or what the token is not for. */
function requireAllowed({ kind }: Wanted, method: string, scopes: readonly Scope[]): boolean {
  const { reads, writes } = METHODS[kind]
  if (!reads.includes(method) && !writes.includes(method))
    throw new RegistryError(
      'UNSUPPORTED',
      method === 'DELETE'
        ? 'Images are not deleted one by one: what is pushed over goes by itself, the rest with its app.'
        : 'Method not allowed.',
    )
  const write = writes.includes(method)
  if (kind !== 'ping' && !allows(scopes, write ? 'write' : 'read'))
    throw new RegistryError('DENIED', 'The scope of this OAuth authorization does not allow access to this resource.')
  return write
}

async function performed(d: Daemon, uploads: Uploads, kind: Wanted['kind'], call: Call): Promise<void> {
  if (kind === 'upload') return upload(d, uploads, call)
  if (kind === 'manifest') return call.req.method === 'PUT' ? putManifest(d, call) : getManifest(d, call)
  const query = new URLSearchParams([...call.query].filter(([name]) => name === 'n' || name === 'last'))
  return pass(call, await forward(d.registry, call, { query }))
}

function sayCatalog(res: ServerResponse, names: string[], query: URLSearchParams): void {
  const { part, more } = pageOf(names, query)
  const next = new URLSearchParams({ n: String(part.length), last: part.at(-1) ?? '' })
  say(res, { repositories: part }, more ? { link: `</v2/_catalog?${next}>; rel="next"` } : {})
}

function say(res: ServerResponse, body: object, headers: Record<string, string> = {}): void {
  res.writeHead(200, { ...HEADERS, 'content-type': 'application/json', ...headers })
  res.end(JSON.stringify(body))
}
