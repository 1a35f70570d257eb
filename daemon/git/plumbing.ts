import { type ChildProcess, spawn } from 'node:child_process'
import { PassThrough, type Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { stepBack } from '../build/command.ts'
import { gitEnvironment } from './repository.ts'

/** Where git looks for objects: a bare repository, and what is pushed to it and not accepted yet. */
export interface Store {
  repository: string
  quarantine?: string | undefined
}

const start = ({ repository, quarantine }: Store, args: readonly string[], signal: AbortSignal): ChildProcess => {
  const objects = `${repository}/objects`
  const apart = { GIT_OBJECT_DIRECTORY: quarantine ?? objects, GIT_ALTERNATE_OBJECT_DIRECTORIES: objects }
  const env = { ...gitEnvironment(), GIT_DIR: repository, ...(quarantine === undefined ? {} : apart) }
  const child = spawn('git', args, { env, stdio: ['ignore', 'pipe', 'pipe'], signal, killSignal: 'SIGKILL' })
  stepBack(child)
  // Told by its end; without a listener an abort would be nobody's error.
  child.on('error', () => {})
  return child
}

/** What git prints, as it comes. Ends with an error when git does; destroyed, it ends git. */
export function open(store: Store, args: readonly string[], signal: AbortSignal): Readable {
  const out = new PassThrough()
  const child = start(store, args, signal)
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-1000)
  })
  child.stdout?.pipe(out, { end: false })
  child.on('close', (code, killed) => {
    if (code === 0) out.end()
    else out.destroy(signal.aborted ? signal.reason : new Error(`git ${args[0]} ended with ${code ?? killed}: ${said}`))
  })
  out.on('close', () => child.kill('SIGKILL'))
  return out
}

/** All that git prints. */
export const read = async (store: Store, args: readonly string[], signal: AbortSignal): Promise<string> =>
  (await buffer(open(store, args, signal))).toString()

/** What git prints between NULs, as bytes (latin1). */
export async function* records(store: Store, args: readonly string[], signal: AbortSignal): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of open(store, args, signal)) {
    const parts = (rest + (chunk as Buffer).toString('latin1')).split('\0')
    rest = parts.pop() ?? ''
    yield* parts
  }
}
