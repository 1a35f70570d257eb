import { randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'
import { passwordIn } from '../account/credential.ts'
import type { Daemon } from '../daemon.ts'
import { EngineError } from '../engine/engine.ts'
import type { Component } from './component.ts'
import { HEADERS, RegistryError, refusalOf, refuse } from './refusal.ts'

const HOST = '127.0.0.1'
const USER = 'engine'

/**
 * Has the engine fetch an image of a repository by its manifest's digest: only layers that it has not got. For as long as that takes there
 * is a door on loopback, where engines speak plain HTTP, that opens for this repository and a password made for it. So it does not matter
 * where the API listens, nor what the app is called. It is held under the
 * name `as`; resolves with its id. Throws RegistryError when the component is what failed.
 */
export async function pullPushed(
  d: Daemon,
  { repository, digest }: { repository: string; digest: string },
  { as, signal }: { as: string; signal: AbortSignal },
): Promise<string> {
  const password = randomBytes(24).toString('base64url')
  let broken: RegistryError | undefined
  const server = createServer((req, res) => {
    open(d.registry, { req, res, repository, password }).catch((error: unknown) => {
      const refusal = refusalOf(error) ?? new RegistryError('UNAVAILABLE', 'Something went wrong on the platform.')
      if (refusal.code === 'UNAVAILABLE') broken = refusal
      refuse(res, refusal)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, HOST, resolve)
  })
  const serveraddress = `${HOST}:${(server.address() as AddressInfo).port}`
  try {
    const auth = { username: USER, password, serveraddress }
    return await d.engine.images.pull(`${serveraddress}/${repository}@${digest}`, { auth, as, signal })
  } catch (error) {
    // Of what it was not given the engine says many things.
    throw broken && error instanceof EngineError ? broken : error
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

interface Asked {
  req: IncomingMessage
  res: ServerResponse
  repository: string
  password: string
}

async function open(component: Component, { req, res, repository, password }: Asked): Promise<void> {
  const given = Buffer.from(passwordIn(req.headers.authorization))
  if (given.length !== password.length || !timingSafeEqual(given, Buffer.from(password)))
    throw new RegistryError('UNAUTHORIZED', 'This door is not for you.')
  const { url = '', method = '' } = req
  if (url === '/v2/') return void res.writeHead(200, HEADERS).end('{}')
  if (!['GET', 'HEAD'].includes(method) || !/^\/v2\/[^?]+\/(manifests|blobs)\/sha256:[a-f0-9]{64}$/.test(url))
    throw new RegistryError('UNSUPPORTED', 'This door is for pulling.')
  if (!url.startsWith(`/v2/${repository}/`)) throw new RegistryError('DENIED', 'This door is for another repository.')
  const { accept, range } = req.headers
  const answer = await component.send({
    method,
    path: url,
    headers: { ...(accept ? { accept } : {}), ...(range ? { range } : {}) },
  })
  const { connection: _, 'transfer-encoding': __, ...headers } = answer.headers
  res.writeHead(answer.statusCode ?? 502, headers)
  pipeline(answer, res, () => {})
}
