import type { Account } from '../account/account.ts'
import { findApp } from '../app/app.ts'
import { requirePermission } from '../app/permission.ts'
import { requireRoom } from '../build/disk.ts'
import { formatSize } from '../build/output.ts'
import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type Call, flow, forward, localPath, pass } from './call.ts'
import type { Component } from './component.ts'
import { parseName, repositoryOf } from './name.ts'
import { RegistryError } from './refusal.ts'

/** Uploads that have begun and not ended, of which an account has at most limits.uploadsPerAccount. Those of before a restart are not counted. */
export type Uploads = Map<string, Upload>

interface Upload {
  account: string
  /** Where the component takes its end, with the state that it asks for; none before it has said that there is such an upload. */
  path: string
  size: number
  /** Requests that send for it. */
  busy: number
}

/** After so many bytes the disk is looked at. */
const STEP = 32 * 1024 ** 2

/** Begins, continues, ends, cancels or asks for an upload of a blob. */
export async function upload(d: Daemon, uploads: Uploads, call: Call): Promise<void> {
  const component = d.registry
  if (call.req.method === 'POST') return begin(d, uploads, call)
  if (call.req.method === 'GET' || call.req.method === 'DELETE') {
    const answer = await forward(component, call, { query: only(call.query, ['_state']) })
    if (call.req.method === 'DELETE') uploads.delete(call.reference)
    return pass(call, answer)
  }
  await requireSpace(d)
  const known = uploads.get(call.reference)
  const current = known ?? { account: call.account.id, path: '', size: 0, busy: 0 }
  uploads.set(call.reference, current)
  current.busy++
  const body = flow({
    most: limits.layerSize - current.size,
    async each(bytes) {
      const before = current.size
      current.size += bytes
      if (Math.floor(before / STEP) !== Math.floor(current.size / STEP)) await requireSpace(d)
    },
  })
  try {
    call.req.on('error', (error) => body.destroy(error)).pipe(body)
    // Bytes, whatever the client calls them: the component fails at any other type.
    const headers = { 'content-type': 'application/octet-stream' }
    const answer = await forward(component, call, { query: only(call.query, ['_state', 'digest']), headers, body })
    if (call.req.method === 'PUT' || answer.statusCode === 404) uploads.delete(call.reference)
    current.path = localPath(answer.headers.location ?? current.path)
    await pass(call, answer)
  } finally {
    body.destroy()
    current.busy--
    if (current.path === '') uploads.delete(call.reference)
  }
}

/** A blob that another app has is taken from there, if it may be seen: nothing is sent then. */
async function begin(d: Daemon, uploads: Uploads, call: Call): Promise<void> {
  await d.disk.makeRoom()
  await requireSpace(d)
  await requireQuota(d, call.app)
  await makePlace(d.registry, uploads, call.account)
  const query = new URLSearchParams()
  const [mount, from] = [call.query.get('mount'), call.query.get('from')]
  const source = mount && from ? await visible(d, call.account, from) : undefined
  if (mount && source) {
    query.set('mount', mount)
    query.set('from', source)
  }
  const answer = await forward(d.registry, call, { query })
  const { location: path = '', 'docker-upload-uuid': id } = answer.headers
  if (answer.statusCode === 202 && id !== undefined)
    uploads.set(String(id), { account: call.account.id, path: localPath(path), size: 0, busy: 0 })
  await pass(call, answer)
}

/** The account's oldest upload that nobody sends for ends when there is one too many. */
async function makePlace(component: Component, uploads: Uploads, account: Account): Promise<void> {
  const mine = [...uploads].filter(([, upload]) => upload.account === account.id)
  if (mine.length < limits.uploadsPerAccount) return
  const [id, idle] = mine.find(([, { busy }]) => busy === 0) ?? []
  if (id === undefined || idle === undefined)
    throw new RegistryError(
      'TOOMANYREQUESTS',
      `${mine.length} layers are being pushed by this account at once. Wait until some are there.`,
    )
  uploads.delete(id)
  const answer = await component.send({ method: 'DELETE', path: idle.path, headers: { 'content-length': 0 } })
  answer.resume()
}

async function visible(d: Daemon, account: Account, from: string): Promise<string | undefined> {
  try {
    const { app: name, type } = parseName(from)
    const app = await findApp(d.db, account, name)
    await requirePermission(d, app, account, 'view')
    return repositoryOf(app, type)
  } catch (error) {
    if (error instanceof UserError || error instanceof RegistryError) return undefined
    throw error
  }
}

async function requireSpace(d: Daemon): Promise<void> {
  try {
    await requireRoom(d.config.data)
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause
    throw new RegistryError(
      'DENIED',
      'The disk of this host is almost full, so no image can be pushed. Free some space and push again.',
      { cause },
    )
  }
}

/** What is pushed over still counts until it is collected. */
async function requireQuota(d: Daemon, app: { id: string; name: string }): Promise<void> {
  const used = await d.registry.used(app.id)
  if (used > limits.pushedPerApp)
    throw new RegistryError(
      'DENIED',
      `The images that were pushed for ${app.name} take ${formatSize(used)}, and may take ${formatSize(limits.pushedPerApp)}. Push under tags that are there already: what these named before is removed within hours, and what is not released after ${limits.pushedKept / 86_400_000} days.`,
    )
}

const only = (query: URLSearchParams, names: string[]): URLSearchParams =>
  new URLSearchParams([...query].filter(([name]) => names.includes(name)))
