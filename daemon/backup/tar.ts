import type { Blocks } from '../build/source/blocks.ts'
import { limits } from '../limits.ts'
import { BackupError } from './fault.ts'

/** Pure: the heads of a tar that has nothing but files and folders, in GNU's form, which every tar reads. */
export interface Head {
  kind: 'file' | 'folder'
  /** Relative, of ASCII, without `.` and `..`. */
  name: string
  mode: number
  /** User and group. */
  owner: number
  /** Bytes that follow; 0 for a folder. */
  size: number
}

export const BLOCK = 512
const NAME = 100
const LARGEST_OCTAL = 0o77777777777
const LARGEST_OWNER = 0o7777777
const FLAGS = { file: '0', folder: '5' } as const
const LONG = 'L'

/** Zeros up to the next block. */
export const padding = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)

export function headOf(head: Head): Buffer {
  requireName(head.name)
  const path = head.kind === 'folder' ? `${head.name}/` : head.name
  if (path.length <= NAME) return block(path, FLAGS[head.kind], head)
  const long = Buffer.from(`${path}\0`)
  const before = block('././@LongLink', LONG, { mode: 0, owner: 0, size: long.length })
  return Buffer.concat([before, long, padding(long.length), block(path, FLAGS[head.kind], head)])
}

function block(path: string, flag: string, { mode, owner, size }: Omit<Head, 'kind' | 'name'>): Buffer {
  const head = Buffer.alloc(BLOCK)
  const octal = (value: number, at: number, digits: number) => head.write(value.toString(8).padStart(digits, '0'), at)
  head.write(path.slice(0, NAME), 0, 'latin1')
  octal(mode, 100, 7)
  for (const at of [108, 116]) octal(Math.min(owner, LARGEST_OWNER), at, 7)
  if (size <= LARGEST_OCTAL) octal(size, 124, 11)
  else {
    head[124] = 0x80
    head.writeBigUInt64BE(BigInt(size), 128)
  }
  octal(0, 136, 11)
  head.write(flag, 156)
  head.write('ustar  \0', 257, 'latin1')
  octal(sumOf(head), 148, 6)
  return head
}

/** The next one; undefined at the end of the archive. Throws BackupError for whatever else than a file or a folder comes. */
export async function readHead(blocks: Pick<Blocks, 'take'>): Promise<Head | undefined> {
  const first = await blocks.take(BLOCK)
  if (first.length === BLOCK && first.every((byte) => byte === 0)) return undefined
  const long = parse(first)
  if (long.flag !== LONG) return checked(long)
  if (long.size > limits.backupName) throw damaged()
  const name = await blocks.take(long.size + padding(long.size).length)
  return checked({ ...parse(await blocks.take(BLOCK)), path: textOf(name, 0, long.size) })
}

interface Parsed {
  path: string
  flag: string
  mode: number
  owner: number
  size: number
}

function parse(head: Buffer): Parsed {
  if (head.length < BLOCK || sumOf(head) !== numberOf(head, 148, 8)) throw damaged()
  return {
    path: textOf(head, 0, NAME),
    flag: String.fromCharCode(head[156] ?? 0),
    mode: numberOf(head, 100, 8) & 0o777,
    owner: numberOf(head, 108, 8),
    size: head[124] === 0x80 ? Number(head.readBigUInt64BE(128)) : numberOf(head, 124, 12),
  }
}

function checked({ path, flag, ...numbers }: Parsed): Head {
  const kind = flag === FLAGS.file ? 'file' : flag === FLAGS.folder ? 'folder' : undefined
  if (kind === undefined || !Number.isSafeInteger(numbers.size) || (kind === 'folder' && numbers.size > 0))
    throw damaged()
  const name = kind === 'folder' ? path.replace(/\/$/, '') : path
  requireName(name)
  return { kind, name, ...numbers }
}

const SEGMENT = /^[\w+@%=:,~-][\w.+@%=:,~-]*$/

/** None leads out of the folder that it is unpacked in. */
export const isName = (name: string): boolean =>
  name.length <= limits.backupName && name.split('/').every((segment) => SEGMENT.test(segment))

function requireName(name: string): void {
  if (!isName(name))
    throw new BackupError(`It has a file with the name ${JSON.stringify(name.slice(0, 200))}, which no backup has.`)
}

export const damaged = (): BackupError => new BackupError('It is damaged, or not all of it is there.')

const textOf = (head: Buffer, at: number, length: number): string =>
  head.toString('latin1', at, at + length).replace(/\0.*$/s, '')

const numberOf = (head: Buffer, at: number, length: number): number =>
  Number.parseInt(textOf(head, at, length).trim() || '0', 8) || 0

function sumOf(head: Buffer): number {
  let sum = 0
  for (let at = 0; at < BLOCK; at++) sum += at >= 148 && at < 156 ? 0x20 : (head[at] ?? 0)
  return sum
}
