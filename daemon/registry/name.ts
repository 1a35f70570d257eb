import { RegistryError } from './refusal.ts'

/** What a request to `/v2/` is for. `rest` is the path below the repository. */
export type Wanted =
  | { kind: 'ping' }
  | { kind: 'catalog' }
  | { kind: 'tags' | 'manifest' | 'blob' | 'upload'; app: string; type: string; rest: string; reference: string }

const DIGEST = 'sha(?:256:[a-f0-9]{64}|512:[a-f0-9]{128})'
const TAG = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}'
const RESTS = [
  ['tags', /^tags\/(list)$/],
  ['manifest', new RegExp(`^manifests/(${DIGEST}|${TAG})$`)],
  ['blob', new RegExp(`^blobs/(${DIGEST})$`)],
  ['upload', /^blobs\/uploads\/([A-Za-z0-9-]{0,64})$/],
] as const

/** Of a process type: what can be one in a Procfile and in the name of an image, which has no capitals. */
const TYPE = /^[a-z0-9]+(?:(?:_|__|-+)[a-z0-9]+)*$/

export const isDigest = (reference: string): boolean => new RegExp(`^${DIGEST}$`).test(reference)

/** Pure. `path` is without its query. Throws RegistryError for what is no path of the protocol, or no name of an image here. */
export function parsePath(path: string): Wanted {
  if (path === '/v2' || path === '/v2/') return { kind: 'ping' }
  if (path === '/v2/_catalog') return { kind: 'catalog' }
  const [, name, rest = ''] = /^\/v2\/(.+)\/((?:tags|manifests|blobs)\/.*)$/.exec(path) ?? []
  for (const [kind, pattern] of RESTS) {
    const [, reference] = pattern.exec(rest) ?? []
    if (name !== undefined && reference !== undefined) return { kind, ...parseName(name), rest, reference }
  }
  // 404: by that clients learn that there is no list of referrers, and do without.
  throw new RegistryError('NAME_UNKNOWN', 'This is no request of the registry protocol, version 2.')
}

/** `app/type`, where the app may be given by its id. */
export function parseName(name: string): { app: string; type: string } {
  const [app = '', type = '', ...more] = name.split('/')
  if (more.length > 0 || !/^[a-z0-9-]{1,64}$/.test(app) || type.length > 63 || !TYPE.test(type))
    throw new RegistryError(
      'NAME_INVALID',
      `${name.slice(0, 200)} is no name of an image here: they are called APP/TYPE, as in my-app/web.`,
    )
  return { app, type }
}

/** As the component knows it: by the app's id, which outlives its name and is never used again. */
export const repositoryOf = (app: { id: string }, type: string): string => `${app.id}/${type}`
