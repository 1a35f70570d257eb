import { formatSize } from '../build/output.ts'
import { isPointer, POINTER } from '../build/source/pointer.ts'
import { shownName } from '../build/source/source.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { read, records, type Store } from './plumbing.ts'

/** What a commit's tree has, as far as something must be done about it. Paths are as bytes (latin1). */
export interface Survey {
  /** Where a commit of another repository belongs. */
  submodules: { path: string; commit: string }[]
  /** Files that can be pointers of Git LFS by their size, and their objects. */
  small: Map<string, string>
  /** Files of attributes: Git LFS works by them. */
  attributes: boolean
  /** The size of the `.gitmodules` at the top, 0 when there is none. */
  modules: number
}

/** Below it no pointer can be: its two lines have more. */
const POINTER_LEAST = 100
const LONGEST_NAME = 255
/** What is in front of it in a build comes on top; a path has at most 4096 bytes. */
const LONGEST_PATH = 3900

/**
 * Looks through a commit's tree before any of its files is read. Throws UserError, with a name where one is to blame, for what is beyond
 * the bounds: a small push can hold a tree of as many and as large files as one likes.
 */
export async function survey(store: Store, commit: string, signal: AbortSignal): Promise<Survey> {
  const found: Survey = { submodules: [], small: new Map(), attributes: false, modules: 0 }
  const sum = { files: 0, size: 0, largest: { path: '', size: 0 } }
  for await (const record of records(store, ['ls-tree', '-r', '-z', '-l', '--full-tree', commit], signal)) {
    const tab = record.indexOf('\t')
    const [, type = '', object = '', length = ''] = record.slice(0, tab).split(/ +/)
    const path = record.slice(tab + 1)
    const size = Number(length) || 0
    requireName(path)
    if (size > sum.largest.size) sum.largest = { path, size }
    sum.size += size
    requireBounds(++sum.files, sum)
    if (type === 'commit') found.submodules.push({ path, commit: object })
    else if (path === '.gitmodules') found.modules = size
    else if (path === '.gitattributes' || path.endsWith('/.gitattributes')) found.attributes = true
    else if (size >= POINTER_LEAST && size < POINTER) found.small.set(path, object)
  }
  return found
}

function requireName(path: string): void {
  if (path.length > LONGEST_PATH)
    throw refuse(`The path "${shownName(path)}" is longer than ${LONGEST_PATH} bytes, so it cannot be built.`)
  if (path.length > LONGEST_NAME && path.split('/').some((name) => name.length > LONGEST_NAME))
    throw refuse(`The path "${shownName(path)}" has a name of more than ${LONGEST_NAME} bytes, which no file can have.`)
}

function requireBounds(files: number, { size, largest }: { size: number; largest: { path: string; size: number } }) {
  if (files > limits.sourceEntries)
    throw refuse(
      `This commit has more than ${limits.sourceEntries.toLocaleString('en')} files. Take generated files and dependencies out of the repository.`,
    )
  if (size > limits.sourceSize)
    throw refuse(
      `The files of this commit are larger than ${formatSize(limits.sourceSize)} together. The largest so far is "${shownName(largest.path)}" (${formatSize(largest.size)}). Take large files out of the repository.`,
    )
}

const refuse = (why: string): UserError => new UserError('request_too_large', why)

/** So many files that may be pointers are looked at, which is enough to say so. */
const MOST_READ = 100

/** Files of the commit that are pointers of Git LFS, for people: all, or the first of very many. */
export async function findPointers(
  store: Store,
  commit: string,
  { small, attributes }: Survey,
  signal: AbortSignal,
): Promise<string[]> {
  if (!attributes || small.size === 0) return []
  const pointers: string[] = []
  for (const path of await mentioning(store, commit, signal)) {
    const object = small.get(path)
    if (object !== undefined && isPointer(await read(store, ['cat-file', 'blob', object], signal)))
      pointers.push(shownName(path))
  }
  return pointers
}

/** Of the whole commit, however large, only these need be read by us. */
async function mentioning(store: Store, commit: string, signal: AbortSignal): Promise<string[]> {
  const lines = ['^version https://git-lfs\\.github\\.com/spec/v[0-9]*$', '^oid sha256:[0-9a-f]\\{64\\}$']
  const args = ['grep', '-z', '-l', '--all-match', ...lines.flatMap((line) => ['-e', line]), commit]
  const paths: string[] = []
  try {
    for await (const record of records(store, args, signal))
      if (paths.push(record.slice(commit.length + 1)) === MOST_READ) break
  } catch (error) {
    // It ends with 1 when there is none.
    if (!/ended with 1: $/.test(String(error))) throw error
  }
  return paths
}
