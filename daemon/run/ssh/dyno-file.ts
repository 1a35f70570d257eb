import { posix } from 'node:path'
import ssh2 from 'ssh2'
import type { Process } from '../../engine/engine.ts'
import { limits } from '../../limits.ts'
import { announced, drain, quote, type Run } from './dyno-command.ts'

const { STATUS_CODE } = ssh2.utils.sftp

/** Why a file is not given, with SFTP's number for it. */
export class FileRefusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export interface Attributes {
  /** Kind and permissions, as `st_mode`. */
  mode: number
  size: number
  uid: number
  gid: number
  accessed: number
  modified: number
}

export interface DynoFile {
  /** As they were when it was opened. */
  attributes: Attributes
  /** Up to `length` bytes, fewer only at the end; `undefined` behind it. Wide jumps cost a process. */
  read(offset: number, length: number): Promise<Buffer | undefined>
  close(): void
}

const LONGEST_PATH = 4096
const FORMAT = '%f %s %u %g %X %Y'

/** Where a dyno's processes find a path. */
export const absolute = (path: string): string => posix.resolve('/app', path)

/** Rejects with FileRefusal. */
export async function inspect(run: Run, path: string, follow: boolean, signal: AbortSignal): Promise<Attributes> {
  const file = quote(checked(path))
  const link = follow ? '' : ` || [ -L ${file} ]`
  const command = (mark: string) =>
    `if [ -e ${file} ]${link}; then echo "${mark} $(stat ${follow ? '-L ' : ''}-c '${FORMAT}' -- ${file})"; else echo "${mark} missing"; fi`
  const found = await announced(run, command, signal)
  if (found) await drain(found.process)
  return attributesOf(path, found?.words)
}

/** Opens a file for reading by a process in the dyno, as the dyno's user. Rejects with FileRefusal. */
export async function openFile(run: Run, path: string, signal: AbortSignal): Promise<DynoFile> {
  let reader = await openAt(run, path, 0, signal)
  return {
    attributes: reader.attributes,
    async read(offset, length) {
      if (!reader.bytes.reaches(offset)) {
        reader.close()
        reader = await openAt(run, path, offset, signal)
      }
      return reader.bytes.read(offset, length)
    },
    close: () => reader.close(),
  }
}

async function openAt(run: Run, path: string, offset: number, signal: AbortSignal) {
  const file = quote(checked(path))
  const command = (mark: string) => `if ! [ -e ${file} ]; then echo "${mark} missing"
elif ! [ -f ${file} ]; then echo "${mark} special"
elif ! [ -r ${file} ]; then echo "${mark} denied"
else
  exec <${file}
  echo "${mark} $(stat -L -c '${FORMAT}' /proc/self/fd/0)"
  exec tail -c +${offset + 1}
fi`
  const opened = await announced(run, command, signal)
  if (opened?.words.length === 1) await drain(opened.process)
  const attributes = attributesOf(path, opened?.words)
  opened?.process.input.end()
  return {
    attributes,
    bytes: slidingOver(opened?.process.output ?? none(), offset),
    close: () => void opened?.process.hangup().catch(() => {}),
  }
}

async function* none(): AsyncGenerator<never> {}

/**
 * A window on a stream, of the last `limits.sftpWindow` bytes: clients ask for many pieces at once, and for the rest of a piece (ssh2
 * cuts its own in two) only when they have its beginning.
 */
function slidingOver(output: Process['output'], start: number) {
  const chunks = output[Symbol.asyncIterator]()
  const pieces: Buffer[] = []
  let [base, end] = [start, start]
  const more = async (): Promise<boolean> => {
    const { value, done } = await chunks.next()
    if (done) return false
    if (value.stream === 'stderr') return true
    pieces.push(value.data)
    end += value.data.length
    while (end - base - (pieces[0]?.length ?? 0) > limits.sftpWindow) base += pieces.shift()?.length ?? 0
    return true
  }
  return {
    reaches: (offset: number) => offset >= base && offset <= end + limits.sftpWindow,
    async read(offset: number, length: number): Promise<Buffer | undefined> {
      while (end < offset + length && (await more()));
      const parts: Buffer[] = []
      let at = base
      for (const piece of pieces) {
        const [from, to] = [Math.max(offset - at, 0), Math.min(offset + length - at, piece.length)]
        if (from < to) parts.push(piece.subarray(from, to))
        at += piece.length
      }
      return parts.length > 0 ? Buffer.concat(parts) : undefined
    },
  }
}

function checked(path: string): string {
  if (path.includes('\0') || path.length > LONGEST_PATH)
    throw new FileRefusal(STATUS_CODE.NO_SUCH_FILE, 'That is no path of a file.')
  return absolute(path)
}

function attributesOf(path: string, words: string[] | undefined): Attributes {
  const [mode = '', ...numbers] = words ?? []
  const [size = 0, uid = 0, gid = 0, accessed = 0, modified = 0] = numbers.map(Number)
  if (/^[0-9a-f]+$/.test(mode) && numbers.length === 5)
    return { mode: Number.parseInt(mode, 16), size, uid, gid, accessed, modified }
  const where = `${path} in the dyno`
  if (mode === 'missing') throw new FileRefusal(STATUS_CODE.NO_SUCH_FILE, `There is no ${where}.`)
  if (mode === 'special') throw new FileRefusal(STATUS_CODE.FAILURE, `${where} is not a file. Copy one file at a time.`)
  throw new FileRefusal(STATUS_CODE.PERMISSION_DENIED, `The dyno's user may not read ${where}.`)
}
