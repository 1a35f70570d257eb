import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

const { randomUUID, randomInt } = crypto

/** Until it is called, ids and numbers that the daemon draws are the same in each history: ids in the order of their making. */
export function countIds(): () => void {
  let drawn = 0
  crypto.randomUUID = () => `00000000-0000-4000-8000-${String(++drawn).padStart(12, '0')}`
  crypto.randomInt = ((least: number) => least + ++drawn) as typeof randomInt
  syncBuiltinESMExports()
  return () => {
    Object.assign(crypto, { randomUUID, randomInt })
    syncBuiltinESMExports()
  }
}
