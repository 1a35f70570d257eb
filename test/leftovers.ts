import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { described, leftBehind, removeInstallation } from './e2e/installation.ts'
import type { Outcome } from './file.ts'
import { groupsLeft, removeGroups } from './host/groups.ts'

/** The outcome of a file that has ended: a failure when it left something in the engine, which is removed. */
export async function cleared(outcome: Outcome): Promise<Outcome> {
  const left = await clear(outcome.pid)
  if (left.length === 0) return outcome
  const problem = outcome.problem ?? `left in the engine: ${left.join(', ')}`
  return { ...outcome, failed: Math.max(1, outcome.failed), problem }
}

/** What the engine held on to although nobody used it: nobody has forgotten it, also when an engine that was started again lets it go. */
const held = new Set<string>()

/** Removes what test processes that are gone, or one of them, have left in the engine; tells what that was. */
export async function clear(owner?: number): Promise<string[]> {
  const left = await look(owner)
  for (const installation of new Set(left.map(({ installation }) => installation)))
    if (!(await removeInstallation(installation).catch(() => true)))
      for (const { id, installation: its } of await look(owner)) if (its === installation) held.add(id)
  return left.filter(({ id }) => !held.has(id)).map(described)
}

/** No engine, as on a machine where only unit tests run, holds nothing. */
const look = (owner?: number) => leftBehind(owner).catch(() => [])

/** Names end with the process that they belong to, and what makes them unique. */
const FOLDER = /^sluice-(?:shelf|hub|test)-(\d+)-\w+$/
const GROUP = /^sluice-host-[0-9a-f]+-test-(\d+)$/

/**
 * Removes what tests of whole machines that were killed have left beside the engine: folders and control groups. What cannot be removed
 * stays, and fails nothing.
 */
export async function clearHost(folders = [tmpdir(), '/var/lib']): Promise<void> {
  for (const folder of folders)
    for (const name of await readdir(folder).catch(() => []))
      if (isGone(FOLDER.exec(name))) await rm(join(folder, name), REMOVAL).catch(() => {})
  for (const name of await groupsLeft().catch(() => [])) if (isGone(GROUP.exec(name))) await removeGroups(name)
}

const REMOVAL = { recursive: true, force: true, maxRetries: 5 }

const isGone = (name: RegExpExecArray | null): boolean => name !== null && !existsSync(`/proc/${name[1]}`)
