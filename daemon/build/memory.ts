import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { besideOf } from '../run/beside.ts'
import { noRoom, OR_SERIAL } from '../run/capacity.ts'

/** Throws UserError when what is to be built would have no memory to run: better told before the build than after it, when it is looked again. */
export async function requireMemory({ db, capacity }: Pick<Daemon, 'db' | 'capacity'>, app: App): Promise<void> {
  const needs = await besideOf(db, app.id)
  if (needs === 0) return
  await capacity.measure()
  const room = await capacity.room(db)
  if (room.soon < needs) throw noRoom('A new release beside the one that serves', needs, room, OR_SERIAL)
}
