import { open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDiskFull } from '../errors.ts'
import { limits } from '../limits.ts'
import { spaceOf } from '../space.ts'

/**
 * Disk that is held for the rows: with a full one nothing could be written, not even that an app is to be destroyed, which frees some.
 *
 *   given up -- there is room --> held -- a start, or the disk is full when an app is destroyed --> given up
 */
export async function holdReserve(data: string): Promise<void> {
  const path = join(data, NAME)
  const begun = `${path}.new`
  try {
    if ((await stat(path).catch(() => undefined)) || (await spaceOf(data)).free < 2 * limits.rowsReserve) return
    const file = await open(begun, 'w', 0o600)
    try {
      // Zeros that are written take disk; a length that is set does not.
      for (let written = 0; written < limits.rowsReserve; written += PIECE.length) await file.writeFile(PIECE)
    } finally {
      await file.close()
    }
    await rename(begun, path)
  } catch (error) {
    await rm(begun, { force: true })
    if (!isDiskFull(error)) throw error
  }
}

const NAME = 'reserve'
const PIECE = Buffer.alloc(1024 * 1024)

export const giveUpReserve = (data: string): Promise<void> => rm(join(data, NAME), { force: true })

/** Does what frees disk: once more, from the reserve, when the disk is full. */
export async function fromReserve<T>(data: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isDiskFull(error)) throw error
    await giveUpReserve(data)
    return work()
  }
}
