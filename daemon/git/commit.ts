import { Readable } from 'node:stream'
import type { Source } from '../build/source/blob.ts'
import type { Daemon } from '../daemon.ts'
import { open, read, type Store } from './plumbing.ts'
import { fetchSubmodules, membersOf } from './submodule.ts'
import { findPointers, survey } from './tree.ts'

/**
 * A commit's files as they were committed, whatever its attributes say of archives and line ends. Throws UserError for what cannot be
 * built, before any file is read, and for submodules that cannot be fetched; `output` is told of those.
 */
export async function openCommit(
  d: Daemon,
  store: Store,
  { commit, output, signal }: { commit: string; output(text: string): void; signal: AbortSignal },
): Promise<Source> {
  const key = (await read(store, ['rev-parse', '--verify', `${commit}^{tree}`], signal)).trim()
  const tree = await survey(store, commit, signal)
  const pointers = await findPointers(store, commit, tree, signal)
  const submodules = await fetchSubmodules(d, { store, commit, tree, output, signal })
  const files = () => open(store, ['-c', 'tar.umask=0022', 'archive', '--format=tar', commit], signal)
  const archive = Readable.from(
    (async function* () {
      yield* membersOf(submodules)
      yield* files()
    })(),
    { objectMode: false },
  )
  // Whoever reads it hears of it.
  archive.on('error', () => {})
  return { archive, key, pointers }
}
