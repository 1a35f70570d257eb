import { CompiledQuery } from 'kysely'
import type { Host } from './host.ts'
import type { Around } from './walk.ts'

/** Each change of a walk, tried first while nothing can be put on record; then done. */
export interface Unrecorded {
  around: Around
  /** Those that were refused for it. */
  readonly refused: string[]
  /** Those of them that had changed something all the same. */
  readonly made: string[]
}

/** What these begin goes on after the answer, and must not meet the fault. */
const ELSEWHERE = /\/(builds|app-setups|pipeline-promotions|review-apps)(\/|$)/

export function unrecorded({ d }: Host): Unrecorded {
  const refused: string[] = []
  const made: string[] = []
  const query = async (text: string) => (await d.db.executeQuery<Record<string, unknown>>(CompiledQuery.raw(text))).rows
  const content = async (): Promise<string[]> => {
    const tables = await query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    const all: string[] = []
    for (const { name } of tables)
      for (const row of await query(`SELECT * FROM ${name}`)) all.push(`${name} ${JSON.stringify(row)}`)
    return all.sort()
  }
  return {
    refused,
    made,
    async around(perform, method, path) {
      if (method === 'GET' || ELSEWHERE.test(path)) return perform()
      const before = await content()
      await query("CREATE TRIGGER full BEFORE INSERT ON activities BEGIN SELECT RAISE(ABORT, 'no record'); END")
      const answer = await perform()
      await query('DROP TRIGGER full')
      if (answer.status < 500) return answer
      refused.push(`${method} ${path}`)
      if ((await content()).join() !== before.join()) made.push(`${method} ${path}`)
      return perform()
    },
  }
}
