import type { DbOrTx } from '../store/database.ts'
import { dynosOf } from './dyno.ts'
import { resourcesOf } from './environment.ts'
import { rowsOf } from './formation.ts'

/**
 * Whether an app would rather have nobody serve for a while than not be released or restarted, when there is no room for a web dyno beside the
 * one that serves. It has the feature for that (app/feature.ts).
 */
export async function isSerial(db: DbOrTx, app: string): Promise<boolean> {
  const wish = db
    .selectFrom('app_features')
    .select('name')
    .where('app_id', '=', app)
    .where('name', '=', 'serial-deploy')
  return (await wish.where('enabled', '=', 1).executeTakeFirst()) !== undefined
}

/**
 * Bytes that a successor of the web dyno needs beside it. 0 when there are several, of which one after the other makes way, when nobody is up,
 * and when the app is serial.
 */
export async function besideOf(db: DbOrTx, app: string): Promise<number> {
  const web = (await rowsOf(db, app)).get('web')
  const up = (await dynosOf(db, app)).some(({ type, state, one_off }) => type === 'web' && state === 'up' && !one_off)
  return web?.quantity === 1 && up && !(await isSerial(db, app)) ? resourcesOf(web.size).memory : 0
}
