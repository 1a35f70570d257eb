import { createHash } from 'node:crypto'
import type { DbOrTx } from '../store/database.ts'
import { type DynoView, nameOf } from './dyno.ts'
import type { Slot } from './slot.ts'

/** A slot whose dyno is not started because there is no memory for it. */
export interface Awaited {
  slot: Slot
  /** Epoch, ms. */
  since: number
}

/** As `ps` shows them, which prints their state as it is. */
export async function listAwaited(db: DbOrTx, awaited: readonly Awaited[]): Promise<DynoView[]> {
  if (awaited.length === 0) return []
  const ids = awaited.map(({ slot }) => slot.release)
  const releases = await db.selectFrom('releases').select(['id', 'version']).where('id', 'in', ids).execute()
  return awaited.flatMap(({ slot, since }): DynoView[] => {
    const release = releases.find(({ id }) => id === slot.release)
    if (!release) return []
    const { type, command, size } = slot.process
    const name = nameOf({ type, ordinal: slot.ordinal })
    const state = 'waiting for memory'
    const id = idOf(`${release.id} ${name}`)
    return [{ id, name, type, command, size, state, release, created_at: since, updated_at: since }]
  })
}

/** It has no row that an id could be from; the same slot has the same one. */
const idOf = (text: string): string =>
  createHash('sha256')
    .update(text)
    .digest('hex')
    .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-4$3-8$4-$5')
