import type { UserError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { Blocks } from './blocks.ts'
import { isPointer, POINTER } from './pointer.ts'
import { broken, shownName } from './source.ts'

/** A file, folder or link of an archive. Paths are as bytes (latin1), relative, without `.` and `..`. */
interface Member {
  path: string
  kind: Kind
  link: string
  mode: number
  mtime: number
  size: number
}

/** The type flags of what may be in a source or slug; the old ones for a plain file mean the same. */
const KINDS = { '\0': 'file', 0: 'file', 7: 'file', 1: 'hard', 2: 'symbolic', 5: 'folder' } as const
type Kind = (typeof KINDS)[keyof typeof KINDS]
const FLAGS: Record<Kind, string> = { file: '0', hard: '1', symbolic: '2', folder: '5' }

const BLOCK = 512
const NAME = 100
/** Of a long name or of extended attributes. */
const LONGEST = 64 * 1024
const LONGEST_PATH = 4096

/**
 * The same archive, made anew: only files, folders and links, each at the path that `place` gives it (none: left out). Throws
 * UserError for what is no tar, for names that lead out of it, devices, and more than limits.sourceEntries. What comes out is plain
 * whoever made what went in, but the targets of symbolic links are untouched: it is to be unpacked as nobody of importance.
 */
export async function* rewrite(tar: AsyncIterable<Buffer>, place: Place): AsyncGenerator<Buffer> {
  yield* rewriteMembers(tar, place)
  yield Buffer.alloc(2 * BLOCK)
}

/** The same without the end of the archive, so that another can follow. */
export async function* rewriteMembers(tar: AsyncIterable<Buffer>, place: Place): AsyncGenerator<Buffer> {
  const blocks = new Blocks(tar)
  try {
    for await (const member of members(blocks)) {
      const path = place(member.path)
      const link = member.kind === 'hard' ? place(member.link) : member.link
      if (path === undefined || path === '') await blocks.skip(padded(member.size))
      else {
        if (link === undefined) throw refuse(member.path, 'is a link to what is not in the archive')
        yield* headers({ ...member, path, link })
        yield* blocks.pass(padded(member.size))
      }
    }
    // Whoever unpacks it on the way finds at its very end whether it is what was packed.
    await blocks.drain()
  } finally {
    await blocks.close()
  }
}

type Place = (path: string) => string | undefined

/** What is known of an archive before it is used. */
export interface Contents {
  /** The folder that everything is in, as in archives that GitHub makes; undefined when there is no such one. */
  folder: string | undefined
  /** Files that are pointers of Git LFS, for people. */
  pointers: string[]
}

/** Reads an archive to its end. Throws UserError as `rewrite` does. */
export async function lookThrough(tar: AsyncIterable<Buffer>): Promise<Contents> {
  const blocks = new Blocks(tar)
  const tops = new Set<string>()
  const pointers: string[] = []
  try {
    for await (const { path, kind, size } of members(blocks)) {
      const [first = '', ...below] = path.split('/')
      // A file at the top is a second thing there, whatever else is.
      if (path !== '' && tops.size < 2) tops.add(first).add(below.length === 0 && kind !== 'folder' ? '' : first)
      if (kind === 'file' && size > 0 && size < POINTER) {
        const content = await blocks.take(padded(size))
        if (isPointer(content.toString('latin1', 0, size))) pointers.push(shownName(path))
      } else await blocks.skip(padded(size))
    }
    await blocks.drain()
  } finally {
    await blocks.close()
  }
  return { folder: tops.size === 1 ? [...tops][0] : undefined, pointers }
}

/** Moves what is in `folder` to the top. */
export const outOf =
  (folder: string) =>
  (path: string): string | undefined =>
    path === folder ? '' : path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : undefined

const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK

/** Whoever iterates takes the member's content (`pass`) before the next. */
async function* members(blocks: Blocks): AsyncGenerator<Member> {
  const symbolic = new Set<string>()
  let remembered = 0
  let count = 0
  let given: { path?: string; link?: string; size?: number } = {}
  while (true) {
    const head = await blocks.take(BLOCK)
    if (head.every((byte) => byte === 0)) break
    if (head.length < BLOCK && count > 0) throw broken('It ends early.')
    if (!hasChecksum(head)) throw broken(count === 0 ? 'It is neither a tar nor a tar.gz file.' : 'It is damaged.')
    if (++count > limits.sourceEntries) throw broken(`It has more than ${limits.sourceEntries} files.`)
    const flag = String.fromCharCode(head[156] ?? 0)
    const size = numberOf(head, 124, 12)
    if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') {
      const text = await extension(blocks, size)
      if (flag === 'x') given = { ...given, ...attributes(text) }
      if (flag === 'L') given.path = text.replace(/\0.*$/s, '')
      if (flag === 'K') given.link = text.replace(/\0.*$/s, '')
      continue
    }
    const name = given.path ?? nameOf(head)
    const kind = Object.hasOwn(KINDS, flag) ? KINDS[flag as keyof typeof KINDS] : undefined
    if (flag === 'S') throw sparse()
    if (kind === undefined) throw refuse(name, 'is neither a file nor a folder nor a link')
    const path = plain(name)
    requireNoLink(path, symbolic)
    const target = given.link ?? textOf(head, 157, NAME)
    const link = kind === 'hard' ? plain(target) : kind === 'symbolic' ? target : ''
    if (kind === 'hard') requireNoLink(link, symbolic)
    if (kind === 'symbolic') {
      // A copy, because a part of a string keeps all of it in memory.
      symbolic.add(Buffer.from(path, 'latin1').toString('latin1'))
      remembered += path.length
      if (remembered > limits.sourceLinkNames) throw broken('It has too many symbolic links.')
    }
    const folder = kind === 'file' && name.endsWith('/')
    yield {
      ...{ path, link, kind: folder ? 'folder' : kind, size: kind === 'file' ? (given.size ?? size) : 0 },
      ...{ mode: numberOf(head, 100, 8) & 0o777, mtime: numberOf(head, 136, 12) },
    }
    given = {}
  }
  if (count === 0) throw broken('It is empty.')
}

/** Nothing is unpacked through a link that the archive brings along. */
function requireNoLink(path: string, symbolic: Set<string>): void {
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1))
    if (symbolic.has(path.slice(0, slash))) throw refuse(path, 'is behind a symbolic link')
}

function plain(name: string): string {
  if (name.length > LONGEST_PATH || name.includes('\0')) throw refuse(name, 'has a name that no file can have')
  if (name.startsWith('/')) throw refuse(name, 'has an absolute name')
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw refuse(name, 'leads out of the archive')
  if (parts.length > limits.sourceDepth) throw refuse(name, 'is in too many folders')
  return parts.join('/')
}

async function extension(blocks: Blocks, size: number): Promise<string> {
  if (size > LONGEST) throw broken('It has a name or attributes of unreasonable length.')
  const data = await blocks.take(padded(size))
  if (data.length < size) throw broken('It ends early.')
  return data.toString('latin1', 0, size)
}

/** Records of `LENGTH KEY=VALUE\n` (https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html). */
function attributes(text: string): { path?: string; link?: string; size?: number } {
  const found: { path?: string; link?: string; size?: number } = {}
  for (let at = 0; at < text.length; ) {
    const length = Number(/^\d{1,6} /.exec(text.slice(at, at + 7))?.[0] ?? 0)
    if (length === 0 || at + length > text.length) throw broken('It is damaged.')
    const record = text.slice(text.indexOf(' ', at) + 1, at + length - 1)
    const [key, value] = [record.slice(0, record.indexOf('=')), record.slice(record.indexOf('=') + 1)]
    if (key.startsWith('GNU.sparse')) throw sparse()
    if (key === 'path') found.path = value
    if (key === 'linkpath') found.link = value
    if (key === 'size' && /^\d{1,12}$/.test(value)) found.size = Number(value)
    at += length
  }
  return found
}

const sparse = (): UserError => broken('It has sparse files. Make it without --sparse.')

const textOf = (head: Buffer, at: number, length: number): string =>
  head.toString('latin1', at, at + length).replace(/\0.*$/s, '')

/** The prefix is POSIX's; GNU has other things there. */
function nameOf(head: Buffer): string {
  const prefix = head.toString('latin1', 257, 263) === 'ustar\0' ? textOf(head, 345, 155) : ''
  return `${prefix}${prefix === '' ? '' : '/'}${textOf(head, 0, NAME)}`
}

/** Octal, or for large ones GNU's binary. */
function numberOf(head: Buffer, at: number, length: number): number {
  if (((head[at] ?? 0) & 0x80) === 0)
    return Math.max(0, Number.parseInt(textOf(head, at, length).trim() || '0', 8) || 0)
  const large = head.subarray(at + 1, at + length).reduce((sum, byte) => sum * 256 + byte, 0)
  return Number.isSafeInteger(large) ? large : 0
}

function sumOf(head: Buffer): number {
  let sum = 0
  for (let at = 0; at < BLOCK; at++) sum += at >= 148 && at < 156 ? 0x20 : (head[at] ?? 0)
  return sum
}

const hasChecksum = (head: Buffer): boolean => sumOf(head) === numberOf(head, 148, 8)

function* headers({ path: name, link, kind, mode, mtime, size }: Member): Generator<Buffer> {
  const path = kind === 'folder' ? `${name}/` : name
  if (path.length > NAME) yield* long('L', path)
  if (link.length > NAME) yield* long('K', link)
  yield header({ path, link, flag: FLAGS[kind], mode, mtime, size })
}

/** GNU's form: bytes as they are, in no particular encoding. */
function* long(flag: 'L' | 'K', text: string): Generator<Buffer> {
  const size = text.length + 1
  yield header({ path: '././@LongLink', link: '', flag, mode: 0, mtime: 0, size })
  const data = Buffer.alloc(padded(size))
  data.write(text, 'latin1')
  yield data
}

function header({ path, link, flag, ...numbers }: Omit<Member, 'kind'> & { flag: string }): Buffer {
  const head = Buffer.alloc(BLOCK)
  const octal = (value: number, at: number, digits: number) => head.write(value.toString(8).padStart(digits, '0'), at)
  head.write(path.slice(0, NAME), 0, 'latin1')
  octal(numbers.mode, 100, 7)
  octal(0, 108, 7)
  octal(0, 116, 7)
  octal(numbers.size, 124, 11)
  octal(Math.min(numbers.mtime, 0o77777777777), 136, 11)
  head.write(flag, 156)
  head.write(link.slice(0, NAME), 157, 'latin1')
  head.write('ustar  \0', 257, 'latin1')
  octal(sumOf(head), 148, 6)
  return head
}

const refuse = (name: string, why: string): UserError => broken(`"${shownName(name)}" in it ${why}.`)
