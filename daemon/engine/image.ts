import { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import type Docker from 'dockerode'
import { limits } from '../limits.ts'
import { type Space, spaceOf } from '../space.ts'
import { type Connection, connect, explain, statusOf, unlessMissing } from './connection.ts'
import { EngineError, ImageError, type PullOptions } from './engine.ts'

export interface Image {
  /** `sha256:…`; starts never ask a registry when an image is named by it. */
  id: string
  tags: string[]
  labels: Record<string, string>
  env: string[]
  /** bytes */
  size: number
  /** Layer digests, lowest first. */
  layers: string[]
}

/** Imports and pulls move gigabytes; between two lines of progress the engine may be silent this long. */
const TRANSFER = 60 * 60_000

/** What the engine holds under `name` (a tag or an id), or null. Rejects with EngineError. */
export async function inspectImage(socket: string, name: string): Promise<Image | null> {
  const found = await unlessMissing(
    connect(socket).ask(`look up the image ${name}`, (docker) => docker.getImage(name).inspect()),
    null,
  )
  if (!found) return null
  return {
    id: found.Id,
    tags: found.RepoTags ?? [],
    labels: found.Config?.Labels ?? {},
    env: found.Config?.Env ?? [],
    size: found.Size,
    layers: found.RootFS?.Layers ?? [],
  }
}

/** The id of the image under `name`, or null when the engine does not have it. */
export const imageId = async (socket: string, name: string): Promise<string | null> =>
  (await inspectImage(socket, name))?.id ?? null

/** Pulls `name` (with a tag or digest) from its registry and returns its id. Rejects with ImageError when that is not the engine's fault. */
export async function pullImage(
  socket: string,
  name: string,
  { progress = () => {}, signal, auth }: PullOptions = {},
): Promise<string> {
  const what = `pull the image ${name}`
  const engine = connect(socket)
  try {
    const options = signal ? { fromImage: name, abortSignal: signal } : { fromImage: name }
    const pull = (docker: Docker) => docker.createImage(auth ?? {}, options)
    await readProgress(await engine.ask(what, pull, TRANSFER), progress)
  } catch (error) {
    signal?.throwIfAborted()
    const explained = explain(socket, what, error)
    throw isOfImage(error) ? new ImageError(explained.message, { cause: error }) : explained
  }
  return held(socket, name)
}

const isOfImage = (error: unknown): boolean => error instanceof Told || (statusOf(error) ?? 500) < 500

/**
 * Makes an image of one layer from a tar of a root file system and returns its id.
 * `changes` are Dockerfile lines (`ENV`, `LABEL`, `USER`, `WORKDIR`, …).
 */
export function importImage(
  socket: string,
  image: { name: string; tar: Readable; changes?: string[] },
): Promise<string> {
  const { repo, tag } = splitName(image.name)
  return transfer(socket, image.name, 'import', (docker) =>
    docker.importImage(image.tar, { repo, tag, changes: image.changes ?? [] }),
  )
}

/** Loads a tar in the format of `docker save` (layers may be left out that the engine has) and returns the id of `name`, which must be in it. */
export const loadImage = (socket: string, name: string, tar: Readable): Promise<string> =>
  transfer(socket, name, 'load', (docker) => docker.loadImage(tar, { quiet: true }))

/** Gives the image `from` (a tag or an id) the further name `to`. */
export async function tagImage(socket: string, from: string, to: string): Promise<void> {
  await connect(socket).ask(`tag the image ${from} as ${to}`, (docker) => docker.getImage(from).tag(splitName(to)))
}

/** Removes the tag, and the image when no tag and no container needs it any more. A missing one is success. */
export async function removeImage(socket: string, name: string): Promise<void> {
  await unlessMissing(
    connect(socket).ask(`remove the image ${name}`, (docker) => docker.getImage(name).remove(), limits.imageRemoval),
    undefined,
  )
}

/** Removes a name or an id, and the image if nothing else holds it; false when a container or another image needs it. */
export async function removeName(engine: Connection, name: string): Promise<boolean> {
  try {
    await unlessMissing(
      engine.ask('remove an image', (docker) => docker.getImage(name).remove(), limits.imageRemoval),
      undefined,
    )
    return true
  } catch (error) {
    if (statusOf(error) === 409) return false
    throw error
  }
}

/** What is left where the engine has its images. */
export async function spaceOfImages(engine: Connection): Promise<Space> {
  const { DockerRootDir } = await engine.ask('describe itself', (docker) => docker.info())
  return spaceOf(DockerRootDir)
}

/** The archive of `docker save`, without names. */
export async function saveImages(engine: Connection, ids: readonly string[]): Promise<Readable> {
  const query = ids.map((id) => `names=${encodeURIComponent(id)}`).join('&')
  // What does not ask further has its last character cut off there.
  const options = { path: `/images/get?${query}&`, method: 'GET', isStream: true, statusCodes: { 200: true } }
  const archive = await engine.ask(
    'save images',
    ({ modem }) =>
      new Promise<Readable>((resolve, reject) =>
        modem.dial(options, (error: unknown, stream: unknown) => (error ? reject(error) : resolve(stream as Readable))),
      ),
    TRANSFER,
  )
  return Readable.from(wholeTar(archive), { objectMode: false })
}

/** What the engine fails at when it has begun to answer it writes behind what it has sent: a tar that is whole ends with two empty blocks. */
async function* wholeTar(archive: Readable): AsyncGenerator<Buffer> {
  let end: Buffer = Buffer.alloc(0)
  for await (const chunk of archive as AsyncIterable<Buffer>) {
    end = Buffer.concat([end, chunk.subarray(-TAR_END)]).subarray(-TAR_END)
    yield chunk
  }
  if (end.length < TAR_END || end.some((byte) => byte !== 0))
    throw new EngineError('The Docker engine broke off while it saved images.')
}

const TAR_END = 1024

export async function loadImages(engine: Connection, archive: Readable): Promise<void> {
  try {
    const answer = await engine.ask('load images', (docker) => docker.loadImage(archive, { quiet: true }), TRANSFER)
    await readProgress(answer, () => {})
  } catch (error) {
    throw explain(engine.socket, 'load images', error)
  }
}

async function transfer(
  socket: string,
  name: string,
  verb: string,
  send: (docker: Docker) => Promise<NodeJS.ReadableStream>,
): Promise<string> {
  const what = `${verb} the image ${name}`
  const engine = connect(socket)
  try {
    await readProgress(await engine.ask(what, send, TRANSFER), () => {})
  } catch (error) {
    throw explain(socket, what, error)
  }
  return held(socket, name)
}

async function held(socket: string, name: string): Promise<string> {
  const id = await imageId(socket, name)
  if (!id)
    throw new EngineError(`The Docker engine at ${socket} does not have the image ${name}, although it just took it.`)
  return id
}

async function readProgress(stream: NodeJS.ReadableStream, progress: (line: string) => void): Promise<void> {
  for await (const message of messages(stream)) {
    const line = statusIn(message)
    if (line !== undefined) progress(line)
  }
}

/** One line of what the engine tells while it works on an image. */
export interface Message {
  error?: string
  /** As it is to be printed. */
  stream?: string
  status?: string
  id?: string
  progress?: string
  aux?: { ID?: string }
}

/** A failure that the engine told while it worked. */
class Told extends Error {}

/** Reads JSON lines to the end. Failures arrive as a line `{error}` after a 200, and are thrown. */
export async function* messages(stream: NodeJS.ReadableStream): AsyncGenerator<Message> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  const parse = (line: string): Message => {
    const message = JSON.parse(line) as Message
    if (message.error) throw new Told(message.error)
    return message
  }
  for await (const chunk of stream) {
    const lines = (rest + decoder.write(Buffer.from(chunk))).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim()) yield parse(line)
  }
  if (rest.trim()) yield parse(rest)
}

/** A line of progress, as `docker pull` prints it. */
export const statusIn = ({ id, status, progress }: Message): string | undefined =>
  status === undefined ? undefined : [id && `${id}:`, status, progress].filter(Boolean).join(' ')

/** `host:5000/a/b:tag` -> repo and tag; the colon of a port is not that of a tag. */
export function splitName(name: string): { repo: string; tag: string } {
  const colon = name.lastIndexOf(':')
  return colon > name.lastIndexOf('/')
    ? { repo: name.slice(0, colon), tag: name.slice(colon + 1) }
    : { repo: name, tag: 'latest' }
}
