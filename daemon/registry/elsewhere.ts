import { requireRegistry } from '../build/container/base.ts'
import type { Daemon } from '../daemon.ts'
import { EngineError, EngineGone } from '../engine/engine.ts'
import { invalid, UserError } from '../errors.ts'

/** An image of another registry, by digest: what it is cannot change. */
export interface Reference {
  /** `host` or `host:port`. */
  registry: string
  name: string
  digest: string
}

const REGISTRY = /^(?=.{1,255}$)(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+|\[[0-9a-f:]+\])(?::\d{1,5})?$/
const NAME = /^(?=.{1,255}$)[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/

/** Pure. `HOST/NAME@sha256:…`; throws UserError for anything else. */
export function parseReference(text: string): Reference {
  const shown = text.slice(0, 200)
  const [path = '', digest] = text.length <= 600 ? text.split('@', 2) : []
  if (digest === undefined && !path.startsWith('sha256:'))
    throw invalid(
      `${shown} names an image that may be another one tomorrow. Name it by its digest, HOST/NAME@sha256:…, which \`docker images --digests\` shows.`,
    )
  const slash = path.indexOf('/')
  const [registry, name] = [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1).replace(/:[\w.-]+$/, '')]
  if (!REGISTRY.test(registry) || !NAME.test(name) || digest === undefined || !/^sha256:[a-f0-9]{64}$/.test(digest))
    throw invalid(
      `${shown} is no image that can be released: it must be HOST/NAME@sha256:…, or the sha256:… of one that was pushed, with all 64 digits.`,
    )
  return { registry, name, digest }
}

/**
 * Has the engine fetch an image of another registry, which checks it against the digest. Only from where log drains may go: users choose the
 * host, and the engine connects. It is held
 * under the name `as`; resolves with its id. Throws UserError.
 */
export async function pullFromElsewhere(
  d: Daemon,
  { registry, name, digest }: Reference,
  { as, signal }: { as: string; signal: AbortSignal },
): Promise<string> {
  if (!(await requireRegistry(d, registry))) throw invalid(`There is no host ${registry.replace(/:\d+$/, '')}.`)
  try {
    return await d.engine.images.pull(`${registry}/${name}@${digest}`, { as, signal })
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof EngineError) || error instanceof EngineGone) throw error
    throw new UserError(
      'invalid_params',
      `${registry} gave no image ${name}@${digest.slice(0, 19)}… for this platform. Is it there, and may everybody pull it?`,
      { cause: error },
    )
  }
}
