import { BlockList, isIPv4 } from 'node:net'
import { invalid, type UserError } from '../../errors.ts'

interface Instruction {
  name: string
  rest: string
  line: number
}

/**
 * What of a Dockerfile concerns the platform: the images that its stages begin with and copy from (`scratch` and earlier stages left out).
 * `args` are those of the build. Throws UserError for images that may be another app's, for what would make the engine itself, which is on no app's
 * network, connect to where apps may not, and for what engines could read otherwise than it is read here.
 */
export function basesOf(path: string, text: string, args: Record<string, string> = {}): string[] {
  const images = new Set<string>()
  const known: Record<string, string> = {}
  const ended = new Set<string>()
  let stage: string | undefined
  let stages = 0
  for (const { name, rest, line } of instructions(text, path)) {
    const place = `${path}, line ${line}`
    if (name === 'ARG' && stages === 0) define(known, rest, { args, place })
    if (name === 'FROM') {
      const [image, as] = partsOfFrom(rest, place)
      const reference = expand(image, known)
      if (stage !== undefined) ended.add(stage)
      if (reference !== 'scratch' && !ended.has(reference.toLowerCase())) images.add(sharedImage(reference, place))
      stage = as?.toLowerCase()
      stages++
      continue
    }
    const from = sourceOf(`${name} ${rest}`, place)
    if (from === undefined || ended.has(from.toLowerCase())) continue
    if (!/^\d+$/.test(from) || Number(from) >= stages - 1) images.add(sharedImage(from, place))
    if (name === 'ONBUILD') images.delete(from)
  }
  return [...images]
}

/** Likewise of one that an image has left for those that are built on it (ONBUILD). */
export function imagesOfTrigger(trigger: string, place: string): string[] {
  const from = [...instructions(trigger, place)].map(({ name, rest }) => sourceOf(`${name} ${rest}`, place))
  return from.flatMap((image) => (image === undefined ? [] : [sharedImage(image, place)]))
}

/** What a COPY has as `--from`. Throws for ADD of a URL, which the engine would fetch; quotes and variables could stand for one. */
function sourceOf(instruction: string, place: string): string | undefined {
  const [, name = '', rest = ''] = /^(?:ONBUILD\s+)?(ADD|COPY)\s+([\s\S]*)$/i.exec(instruction) ?? []
  const { flags, text } = optionsOf(rest, place)
  if (name.toUpperCase() === 'ADD' && sourcesIn(text).some((source) => /https?:\/\/|["'$\\]/.test(source)))
    throw invalid(
      `${place}: ADD takes only plain names of files here, no URLs and no variables. Fetch a file with RUN curl, or add it with COPY.`,
    )
  return flags.findLast((flag) => flag.startsWith('--from='))?.slice('--from='.length)
}

/** The words of an instruction that begin with `--`, and what follows them. */
function optionsOf(rest: string, place: string): { flags: string[]; text: string } {
  const words = rest.trim().split(/(?<=\s)(?=\S)/)
  const first = words.findIndex((word) => !word.startsWith('--'))
  const flags = words.slice(0, first === -1 ? words.length : first).map((word) => word.trim())
  const odd = flags.find((flag) => !/^--[a-z-]+(?:=[!#-&(-[\]-~]*)?$/.test(flag))
  if (odd !== undefined) throw invalid(`${place}: options must be plain, without quotes and backslashes: ${shown(odd)}`)
  return { flags, text: words.slice(flags.length).join('') }
}

/** All but the last word. */
function sourcesIn(text: string): string[] {
  try {
    const words: unknown = JSON.parse(text)
    if (Array.isArray(words)) return words.slice(0, -1).map(String)
  } catch {}
  return text.split(/\s+/).slice(0, -1)
}

/** The image, and the name of the stage. */
function partsOfFrom(rest: string, place: string): [string, string | undefined] {
  const [image = '', as = '', stage] = optionsOf(rest, place).text.split(/\s+/)
  const word = image.replace(/^"(.*)"$/, '$1')
  if (!/^[\w:./@${}+-]+$/.test(word)) throw noName(image, place)
  return [word, as.toLowerCase() === 'as' ? stage : undefined]
}

/** As the engine joins lines (https://docs.docker.com/reference/dockerfile/#escape): comments and empty lines between them do not count. */
function* instructions(text: string, path: string): Generator<Instruction> {
  let joined = ''
  let first = 0
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    requireCertain(line, `${path}, line ${index + 1}`)
    const content = line.trim()
    if (content === '' || content.startsWith('#')) continue
    if (joined === '') first = index + 1
    const end = line.trimEnd()
    const more = end.endsWith('\\')
    joined += more ? end.slice(0, -1) : line
    if (more) continue
    yield* instruction(joined, first)
    joined = ''
  }
  yield* instruction(joined, first)
}

const ODD_SPACE = /[^\S\t ]|[\0-\x08\x0e-\x1f\x85]/

/** Engines differ in what is a white space, and in where an instruction ends by that: something could hide in another one. */
function requireCertain(line: string, place: string): void {
  if (ODD_SPACE.test(line))
    throw invalid(`${place} has a white space other than blank and tab, or a control character. Replace it.`)
  if (/\\\\[\t ]*$/.test(line) && !line.trim().startsWith('#'))
    throw invalid(`${place} ends with two backslashes, which engines read differently. Leave one, or none.`)
  if (/^[\t ]*#[\t ]*escape[\t ]*=[\t ]*[^\\\t ]/i.test(line))
    throw invalid(
      `${place}: escape= is for images of Windows. Remove the line, and end lines that go on with a backslash.`,
    )
}

function* instruction(text: string, line: number): Generator<Instruction> {
  const [, name, rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(text.trim()) ?? []
  if (name) yield { name: name.toUpperCase(), rest, line }
}

const LONGEST = 4096

/** `NAME`, `NAME=value`, `NAME="value"`, several of them. */
function define(
  known: Record<string, string>,
  text: string,
  { args, place }: { args: Record<string, string>; place: string },
): void {
  for (const word of text.split(/\s+/)) {
    const [, name, , value = ''] = /^([a-z_]\w*)(?:=("?)([!#-&(-[\]-~]*)\2)?$/i.exec(word) ?? []
    if (name === undefined)
      throw invalid(`${place}: ARG before FROM takes only values without blanks, backslashes and single quotes.`)
    const text = Object.hasOwn(args, name) ? String(args[name]) : expand(value, known)
    if (text.length > LONGEST)
      throw invalid(`${place}: the value of ${shown(name)} is too long for a part of an image's name.`)
    known[name] = text
  }
}

/** `$NAME`, `${NAME}`, `${NAME:-otherwise}`, `${NAME:+instead}` */
const expand = (text: string, known: Record<string, string>): string =>
  text.replace(/\$(?:([a-z_]\w*)|\{([a-z_]\w*)(?::([-+])([^}]*))?\})/gi, (_, plain, braced, sign, other) => {
    const name = plain ?? braced
    const value = Object.hasOwn(known, name) ? known[name] : ''
    if (sign === undefined) return value
    return (sign === '-') === (value === '') ? other : sign === '-' ? value : ''
  })

const REFERENCE =
  /^(?:[a-z0-9._-]+(?::\d{1,5})?\/)?[a-z0-9][a-z0-9._-]*(?:\/[a-z0-9][a-z0-9._-]*)*(?::\w[\w.-]*)?(?:@sha256:[a-f0-9]{64})?$/i

/**
 * An image that is for everybody on this host. The engine takes any beginning of an id for the image, whoever's that is, and the names that
 * hold the apps' images (engine/spec.ts) are no secret.
 */
function sharedImage(reference: string, place: string): string {
  if (!REFERENCE.test(reference)) throw noName(reference, place)
  if (/^sha\d+:/i.test(reference)) throw invalid(`${place}: ${shown(reference)} is the id of an image. Write its name.`)
  if (/^[0-9a-f]+$/i.test(reference))
    throw invalid(
      `${place}: ${shown(reference)} is, or could be, the id of an image. If it is a name write ${shown(reference)}:latest`,
    )
  if (/^(?:(?:index\.)?docker\.io\/)?sluice-[^/]*\//i.test(reference))
    throw invalid(`${place}: ${shown(reference)} is held for an app. Push it to a registry, and take it from there.`)
  requireRegistry(reference, place)
  return reference
}

const noName = (word: string, place: string): UserError =>
  invalid(
    `${place}: ${shown(word) || 'an empty word'} is no name of an image. Write HOST/NAME:TAG, plainly or with \${ARG}s that have a value.`,
  )

const shown = (text: string): string => text.slice(0, 100)

const local = new BlockList()
local.addSubnet('127.0.0.0', 8)
local.addSubnet('169.254.0.0', 16)
local.addSubnet('0.0.0.0', 8)

/** The engine takes registries of this machine without TLS, and at link-local addresses clouds have their metadata. */
function requireRegistry(reference: string, place: string): void {
  if (!reference.includes('/')) return
  const host = reference.split('/')[0] ?? ''
  const name = host.replace(/:\d*$/, '').toLowerCase()
  const named = /^[a-z0-9_.-]*[a-z_][a-z0-9_.-]*$/.test(name) && !/^0x|\.0x/.test(name)
  const here = name === 'localhost' || name.endsWith('.localhost')
  if (isIPv4(name) ? !local.check(name) : named && !here) return
  throw invalid(`${place}: images of ${shown(host)} cannot be used here. Name another registry.`)
}
