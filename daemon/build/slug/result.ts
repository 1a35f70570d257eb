import { createHash } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import { publicBuildpack } from '../../app/buildpack-name.ts'
import { UserError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { DynoChecks } from '../../route/table.ts'
import type { Recorded } from '../build.ts'
import type { Buildpack, Selection } from '../buildpack/buildpack.ts'
import { type Metadata, parseMetadata } from '../buildpack/metadata.ts'
import { parseChecks } from '../check.ts'
import { formatSize, type Output } from '../output.ts'
import { isDeclared, procfileOddities, readProcfile } from '../procfile.ts'
import { readStages, type Stage } from '../stage.ts'

/**
 * What a build container leaves behind. Its files are a stranger's: they are read up to a bound, only as plain files, and nothing in
 * them becomes a path.
 */
export interface Result {
  /** As the last buildpack calls itself: `Node.js`. */
  description: string
  used: Buildpack[]
  /** The same for the build's record. */
  buildpacks: Recorded[]
  /** Of the Procfile over those of the last buildpack. */
  processTypes: Map<string, string>
  declared: string[]
  defaults: string[]
  warnings: string[]
  oddities: string[]
  /** Of its web dynos. */
  checks: DynoChecks | undefined
  /** For the first deploy of an app. */
  wanted: Pick<Metadata, 'configVars' | 'addons'>
}

/** Of the archive: `SHA256:<hex>`, and bytes. */
export interface Measured {
  checksum: string
  size: number
}

const KiB = 1024
const MiB = 1024 * KiB

/** Reads the results. Throws UserError for process types that cannot be, and for what a bin/release may not print. */
export async function readResult(out: string, { buildpacks }: Pick<Selection, 'buildpacks'>): Promise<Result> {
  const { defaults, ...wanted } = parseMetadata(await text(out, 'release.yml', 64 * KiB))
  const listing = await text(out, 'procfiles', KiB)
  const procfile = readProcfile(await bytes(out, 'Procfile', 256 * KiB + 1))
  if (procfile.errors.length > 0) throw rejected(['Push failed: cannot parse Procfile.', ...procfile.errors].join('\n'))
  const health = parseChecks((await text(out, 'app.json', limits.manifestSize)) || '{}')
  const used = (await text(out, 'used', 4 * KiB)).split('\n').flatMap((n) => buildpacks[Number(n || -1)] ?? [])
  return {
    description: await describe(out),
    used,
    buildpacks: used.map(({ url, name, revision }) => ({ url: publicBuildpack(url), name, revision })),
    processTypes: new Map([...defaults, ...procfile.types]),
    declared: [...procfile.types.keys()],
    defaults: [...defaults.keys()].filter((type) => !procfile.types.has(type)),
    warnings: [...(isDeclared(listing) ? procfile.warnings : []), ...health.warnings],
    checks: health.web,
    oddities: procfileOddities(listing),
    wanted,
  }
}

/** When the script began its stages. */
export const stagesOf = async (out: string): Promise<{ stage: Stage; at: number }[]> =>
  readStages(await text(out, 'stages', 4 * KiB))

/** As the buildpack that is or was at work calls itself; empty before there is one. */
export const describe = async (out: string): Promise<string> =>
  (await text(out, 'description', KiB)).replace(/\p{Cc}/gu, ' ')

/** Throws UserError when there is no archive, or one beyond limits.slugSize. */
export async function measure(path: string): Promise<Measured> {
  const file = await openPlain(path)
  if (!file) throw rejected('The build left no slug.')
  const { size } = await file.stat()
  if (size > limits.slugSize) {
    await file.close()
    throw rejected(
      `Compiled slug size: ${(size / MiB).toFixed(1)}M is too large (max is ${limits.slugSize / MiB}M).\nSee: http://devcenter.heroku.com/articles/slug-size`,
    )
  }
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { fd: file })) hash.update(chunk)
  return { checksum: `SHA256:${hash.digest('hex')}`, size }
}

/** Why the script ended: told in the output as Heroku tells it, and returned as the error to throw. */
export async function readFailure(
  out: string,
  ended: { exitCode: number; outOfMemory: boolean; memory: number },
  { output }: { output: Output },
): Promise<UserError> {
  const [kind = '', ...rest] = (await text(out, 'failure', 32 * KiB)).split('\n')
  const [subject = '', ...more] = rest
  const said = more.join('\n')
  const outOfMemory = ended.outOfMemory || (await text(out, 'memory', 1)) !== ''
  const memory = outOfMemory ? `\nThe build may use ${formatSize(ended.memory)} of memory.` : ''
  switch (kind) {
    case 'undetected':
      output.blank()
      output.write(UNDETECTED)
      if (subject !== '')
        output.write(
          `\t\t\tThere is a ${subject} in this source: to build its images, heroku stack:set container, and push again.\n`,
        )
      return told('No default language could be detected for this app.')
    case 'incompatible':
      output.step(`App not compatible with buildpack: ${subject}`)
      if (said !== '') output.write(`       ${said}\n`)
      output.detail(`More info: ${DETECTION}`)
      return told(`The buildpack ${subject} does not fit this app.`)
    case 'compile':
      return rejected(`Push rejected, failed to compile ${subject} app.${memory}`)
    case 'release':
      return rejected(`Push rejected, bin/release of the ${subject} buildpack failed.\n${said}`.trimEnd())
    case 'source':
    case 'buildpack':
      return rejected(`Push rejected. ${subject}`)
    case 'pack':
      return rejected(`Push rejected, the slug could not be packed.\n${rest.join('\n')}`.trimEnd())
    default:
      return rejected(
        outOfMemory
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

/** At most `most` bytes of a file; a missing one is empty. */
async function bytes(out: string, name: string, most: number): Promise<Buffer> {
  const file = await openPlain(join(out, name))
  if (!file) return Buffer.alloc(0)
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(most) })
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

const text = async (out: string, name: string, most: number): Promise<string> =>
  (await bytes(out, name, most)).toString()

/** No symbolic link, and nothing that blocks or has no end. */
async function openPlain(path: string) {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(path, flags).catch(() => undefined)
  if (!file || (await file.stat()).isFile()) return file
  await file.close()
  return undefined
}
