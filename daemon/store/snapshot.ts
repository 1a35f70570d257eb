import { existsSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { ask, copyDatabase } from './copy.ts'
import { migrations } from './migrations.ts'

/*
 * What install.sh asks about a platform's database, with a release's own Node and SQLite:
 *
 *   node snapshot.js schema            the newest schema that this release knows
 *   node snapshot.js schema DATABASE   the schema of that file; 0 when there is none
 *   node snapshot.js take DATABASE TO  a copy that is whole and on disk when it has that name
 */

async function main([verb, database, to]: string[]): Promise<void> {
  if (verb === 'schema') say(database === undefined ? migrations.length : await schemaOf(database))
  else if (verb === 'take' && database !== undefined && to !== undefined) await take(database, to)
  else throw new Error('It takes: schema [DATABASE], or: take DATABASE TO.')
}

async function schemaOf(path: string): Promise<number> {
  if (!existsSync(path)) return 0
  const [row] = await ask<{ user_version: number }>(path, 'PRAGMA user_version')
  return row?.user_version ?? 0
}

async function take(from: string, to: string): Promise<void> {
  const part = `${to}.part`
  await rm(part, { force: true })
  await copyDatabase(from, part)
  const file = await open(part, 'r+')
  await file.chmod(0o600)
  await file.sync()
  await file.close()
  await rename(part, to)
}

const say = (answer: number): void => void process.stdout.write(`${answer}\n`)

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`snapshot: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})
