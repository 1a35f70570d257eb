import type { Readable } from 'node:stream'
import type Docker from 'dockerode'
import { connect, explain, unlessMissing } from './connection.ts'
import { EngineError } from './engine.ts'

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

/** Pulls `name` (with a tag) from its registry and returns its id. `progress` gets the engine's lines, as `docker pull` prints them. */
export async function pullImage(
  socket: string,
  name: string,
  progress: (line: string) => void = () => {},
  signal?: AbortSignal,
): Promise<string> {
  const what = `pull the image ${name}`
  const engine = connect(socket)
  try {
    const options = signal ? { fromImage: name, abortSignal: signal } : { fromImage: name }
    await readProgress(await engine.ask(what, (docker) => docker.createImage({}, options), TRANSFER), progress)
  } catch (error) {
    signal?.throwIfAborted()
    throw explain(socket, what, error)
  }
  return held(socket, name)
}

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
    connect(socket).ask(`remove the image ${name}`, (docker) => docker.getImage(name).remove(), TRANSFER),
    undefined,
  )
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

/** Reads JSON lines to the end. Failures arrive as a line `{error}` after a 200. */
async function readProgress(stream: NodeJS.ReadableStream, progress: (line: string) => void): Promise<void> {
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) report(line, progress)
  }
  report(rest, progress)
}

function report(line: string, progress: (line: string) => void): void {
  if (!line.trim()) return
  const message = JSON.parse(line) as { error?: string; status?: string; id?: string; progress?: string }
  if (message.error) throw new Error(message.error)
  if (message.status)
    progress([message.id && `${message.id}:`, message.status, message.progress].filter(Boolean).join(' '))
}

/** `host:5000/a/b:tag` -> repo and tag; the colon of a port is not that of a tag. */
function splitName(name: string): { repo: string; tag: string } {
  const colon = name.lastIndexOf(':')
  return colon > name.lastIndexOf('/')
    ? { repo: name.slice(0, colon), tag: name.slice(colon + 1) }
    : { repo: name, tag: 'latest' }
}
