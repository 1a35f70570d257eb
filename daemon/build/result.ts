import { createHash } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Buildpack, Selection } from './buildpack.ts'
import { publicUrl } from './fetch.ts'
import { formatSize, type Output } from './output.ts'
import { parseProcfile } from './procfile.ts'

/**
 * What a build container leaves behind. Its files are a stranger's: they are read up to a bound, only as plain files, and nothing in
 * them becomes a path.
 */
export interface Result {
  /** As the last buildpack calls itself: `Node.js`. */
  description: string
  buildpacks: { url: string; name: string }[]
  /** Of the Procfile over those of the last buildpack. */
  processTypes: Map<string, string>
  declared: string[]
  defaults: string[]
  warnings: string[]
  /** Of the archive: `SHA256:<hex>`, and bytes. */
  checksum: string
  size: number
}

const KiB = 1024

/** Reads the results. Throws UserError for process types that cannot be, and for a slug beyond limits.slugSize. */
export async function readResult(out: string, { buildpacks }: Selection): Promise<Result> {
  const procfile = parseProcfile(await text(out, 'Procfile', 256 * KiB))
  const declares = await isThere(out, 'Procfile')
  if (procfile.errors.length > 0) throw rejected(procfile.errors.join('\n'))
  const defaults = defaultTypes(await text(out, 'release.yml', 64 * KiB))
  const used = (await text(out, 'used', 4 * KiB)).split('\n').flatMap((n) => buildpacks[Number(n || -1)] ?? [])
  return {
    description: (await text(out, 'description', KiB)).replace(/\p{Cc}/gu, ' '),
    buildpacks: used.map(({ url, name }: Buildpack) => ({ url: URL.canParse(url) ? publicUrl(url) : url, name })),
    processTypes: new Map([...defaults, ...procfile.types]),
    declared: [...procfile.types.keys()],
    defaults: [...defaults.keys()].filter((type) => !procfile.types.has(type)),
    warnings: declares ? procfile.warnings : [],
    ...(await measure(join(out, 'archive.tar.zst'))),
  }
}

/** `default_process_types` of what a bin/release printed, which may be nothing, `---` or `--- {}`; entries that are none are left out. */
export function defaultTypes(yaml: string): Map<string, string> {
  let document: unknown
  try {
    document = parse(yaml, { maxAliasCount: 10, logLevel: 'silent' })
  } catch {
    return new Map()
  }
  const types = isObject(document) ? document.default_process_types : undefined
  if (!isObject(types)) return new Map()
  const entries = Object.entries(types).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return new Map(entries.filter(([type, command]) => /^[A-Za-z0-9_-]{1,63}$/.test(type) && command.trim() !== ''))
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

async function measure(path: string): Promise<{ checksum: string; size: number }> {
  const file = await openPlain(path)
  if (!file) throw rejected('The build left no slug.')
  const { size } = await file.stat()
  if (size > limits.slugSize) {
    await file.close()
    throw rejected(
      `Compiled slug size: ${formatSize(size)} is too large (max is ${formatSize(limits.slugSize)}).\nSee: http://devcenter.heroku.com/articles/slug-size`,
    )
  }
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { fd: file })) hash.update(chunk)
  return { checksum: `SHA256:${hash.digest('hex')}`, size }
}

/** Why the script ended: told in the output as Heroku tells it, and returned as the error to throw. */
export async function readFailure(
  out: string,
  ended: { exitCode: number; outOfMemory: boolean },
  { output }: { output: Output },
): Promise<UserError> {
  const [kind = '', ...rest] = (await text(out, 'failure', 32 * KiB)).split('\n')
  const [subject = '', ...more] = rest
  const memory = ended.outOfMemory ? `\nThe build may use ${formatSize(limits.buildMemory)} of memory.` : ''
  switch (kind) {
    case 'undetected':
      output.blank()
      output.write(UNDETECTED)
      return told('No default language could be detected for this app.')
    case 'incompatible':
      output.step(`App not compatible with buildpack: ${subject}`)
      output.write(`       ${more.join('\n')}\n\n       More info: ${DETECTION}\n`)
      return told(`The buildpack ${subject} does not fit this app.`)
    case 'compile':
      return rejected(`Push rejected, failed to compile ${subject} app.${memory}`)
    case 'release':
      return rejected(`Push rejected, bin/release of the ${subject} buildpack failed.\n${more.join('\n')}`.trimEnd())
    case 'source':
    case 'buildpack':
      return rejected(`Push rejected. ${subject}`)
    case 'pack':
      return rejected(`Push rejected, the slug could not be packed.\n${rest.join('\n')}`.trimEnd())
    default:
      return rejected(
        ended.outOfMemory
          ? `Push rejected, the build ran out of memory.${memory}`
          : `Push rejected, the build ended early (${ended.exitCode}).`,
      )
  }
}

const DETECTION = 'https://devcenter.heroku.com/articles/buildpacks#detection-failure'
const UNDETECTED = ` !     No default language could be detected for this app.
\t\t\tHINT: This occurs when Heroku cannot detect the buildpack to use for this application automatically.
\t\t\tSee https://devcenter.heroku.com/articles/buildpacks
`

/** A reason that the output has given already. */
const told = (message: string): UserError => new UserError('invalid_params', message, { cause: TOLD })
const rejected = (message: string): UserError => new UserError('invalid_params', message)
const TOLD = Symbol('told')
export const wasTold = (error: unknown): boolean => error instanceof Error && error.cause === TOLD

/** A folder that the container made, each step of the way to it a folder and no symbolic link. Only when the container is gone. */
export async function plainFolder(root: string, names: string[]): Promise<string> {
  let path = root
  for (const name of names) {
    path = join(path, name)
    const found = await lstat(path).catch(() => undefined)
    if (!found?.isDirectory()) throw rejected(`Push rejected, a buildpack removed ${name}, which the build needs.`)
  }
  return path
}

const isThere = async (out: string, name: string): Promise<boolean> => {
  const file = await openPlain(join(out, name))
  await file?.close()
  return file !== undefined
}

/** At most `most` bytes of a file; a missing one is empty. */
async function text(out: string, name: string, most: number): Promise<string> {
  const file = await openPlain(join(out, name))
  if (!file) return ''
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(most) })
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}

/** No symbolic link, and nothing that blocks or has no end. */
async function openPlain(path: string) {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(path, flags).catch(() => undefined)
  if (!file || (await file.stat()).isFile()) return file
  await file.close()
  return undefined
}
