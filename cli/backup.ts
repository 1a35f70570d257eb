import { existsSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { ask } from './api.ts'
import { bytes } from './disk.ts'
import { runOnHost } from './host-program.ts'
import { action, json, say, table } from './output.ts'
import type { Program } from './program.ts'
import { backupArguments } from './restore.ts'
import { Failure } from './settings.ts'
import { stream } from './stream.ts'
import { examples } from './usage.ts'

interface Backup {
  name: string
  size: number
  encrypted: boolean
  created_at: string
}

interface Backups {
  backups: Backup[]
  /** On the platform's host. */
  folder: string
  keep: number
  /** Seconds; null: only when one is asked for. */
  every: number | null
  making: { done: number; of: number } | null
  last: { ended_at: string; name: string | null; failure: string | null } | null
}

export function register(program: Program): void {
  program
    .command('backup')
    .description(
      'make a backup of the whole platform\nIt stays on the host; with FILE it is downloaded as well. It holds all keys of the platform: keep it as safe as the host.',
    )
    .argument('[file]', 'where to download it to; with --verify, what to look at')
    .option('--verify', 'read a whole file, without a platform, and tell whether it can be restored')
    .option('--passphrase-file <path>', 'with --verify: file with the passphrase that it is encrypted with')
    .option('--json', 'output in json format')
    .addHelpText(
      ...examples('$ sluice backup', '$ sluice backup platform.tar.zst', '$ sluice backup --verify platform.tar.zst'),
    )
    .action((file, choice) => (choice.verify ? verify(file, choice) : make(file, choice)))
  program
    .command('backups')
    .description('list the backups on the host, newest first, and when the next is made')
    .option('--json', 'output in json format')
    .action(list)
  program
    .command('backups:download')
    .description('download a backup')
    .argument('<name>', 'as sluice backups lists it')
    .argument('[file]', 'where to (default: its name, here)')
    .option('--json', 'output in json format')
    .addHelpText(...examples('$ sluice backups:download sluice-20261128T031500Z.tar.zst'))
    .action(async (name, file, choice) => {
      const backup = (await backups()).find((one) => one.name === name)
      if (!backup) throw new Failure(`There is no backup ${name}. See: sluice backups`)
      await download(backup, file ?? name)
      if (choice.json) json(backup)
    })
  program
    .command('backups:delete')
    .description('delete a backup from the host')
    .argument('<name>', 'as sluice backups lists it')
    .option('--json', 'output in json format')
    .addHelpText(...examples('$ sluice backups:delete sluice-20261128T031500Z.tar.zst'))
    .action(async (name, choice) => {
      const backup = await action(`Deleting ${name}`, () =>
        ask<Backup>('DELETE', `/sluice/backups/${encodeURIComponent(name)}`),
      )
      if (choice.json) json(backup)
    })
}

type Choice = { json?: true; passphraseFile?: string }

async function verify(file: string | undefined, choice: Choice): Promise<void> {
  if (file === undefined) throw new Failure('Name the file that is to be looked at: sluice backup --verify FILE')
  await runOnHost('backup/main.js', ['verify', ...backupArguments(file, choice)])
}

async function make(file: string | undefined, choice: Choice): Promise<void> {
  if (choice.passphraseFile !== undefined)
    throw new Failure(
      'Backups are encrypted with the platform’s passphrase, SLUICE_BACKUP_PASSPHRASE_FILE of its daemon. --passphrase-file goes with --verify.',
    )
  if (file !== undefined) requireFree(file)
  // Whoever cannot make one is told so before.
  await ask<Backups>('GET', '/sluice/backups')
  const backup = await action('Making a backup', async (tell) => {
    const made = await madeOnHost(tell)
    tell(`done, ${bytes(made.size)}`)
    return made
  })
  if (file !== undefined) await download(backup, file)
  if (choice.json) json(backup)
  else say(backup.name)
}

interface Told {
  done?: number
  of?: number
  backup?: Backup
  error?: { message: string }
}

/** Each line of the answer tells how far it is; the last, what came of it. */
async function madeOnHost(tell: (word: string) => void): Promise<Backup> {
  for await (const line of createInterface({ input: await stream('POST', '/sluice/backups') })) {
    if (line === '') continue
    const { done = 0, of = 0, backup, error } = JSON.parse(line) as Told
    if (backup) return backup
    if (error) throw new Failure(error.message)
    if (of > 0) tell(`${Math.min(99, Math.floor((100 * done) / of))} %`)
  }
  throw new Failure('The platform broke off. Its log says why; sluice backups lists what it has.')
}

const backups = async (): Promise<Backup[]> => (await ask<Backups>('GET', '/sluice/backups')).backups

/** Under another name until it is there, whole. */
async function download({ name, size }: Backup, file: string): Promise<void> {
  requireFree(file)
  const part = `${file}.part`
  await action(`Downloading ${name} to ${file}`, async (tell) => {
    const answer = await stream('GET', `/sluice/backups/${encodeURIComponent(name)}`)
    await rm(part, { force: true })
    const to = await open(part, 'wx', 0o600)
    try {
      let got = 0
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        await to.appendFile(chunk)
        got += chunk.length
        tell(`${Math.floor((100 * got) / size)} %`)
      }
      await to.sync()
      if (got !== size) throw new Failure('The download broke off. Try again: sluice backups:download')
      await rename(part, file)
      tell('done')
    } finally {
      await to.close()
      await rm(part, { force: true })
    }
  })
}

function requireFree(file: string): void {
  if (existsSync(file)) throw new Failure(`${file} is there already. Name another file.`)
  if (!existsSync(dirname(file))) throw new Failure(`There is no folder ${dirname(file)}.`)
}

async function list(choice: { json?: true }): Promise<void> {
  const found = await ask<Backups>('GET', '/sluice/backups')
  if (choice.json) return json(found)
  const rows = found.backups.map(({ name, size, encrypted }) => [name, bytes(size), encrypted ? 'yes' : 'no'])
  if (rows.length > 0) say(table(['name', 'size>', 'encrypted'], rows).trimEnd())
  for (const line of stateOf(found)) say(line)
}

function stateOf({ backups, folder, keep, every, making, last }: Backups): string[] {
  const schedule =
    every === null ? 'None is made by itself: see SLUICE_BACKUP_EVERY.' : `One is made every ${period(every)}.`
  return [
    ...(backups.length === 0 ? ['There is no backup yet. Make one: sluice backup'] : ['']),
    `They are in ${folder} on the host; the newest ${keep} are kept. ${schedule}`,
    ...(making ? [`One is being made: ${bytes(making.done)} of about ${bytes(making.of)}.`] : []),
    ...(last?.failure ? [`The last one, at ${last.ended_at}, failed: ${last.failure}`] : []),
  ]
}

const period = (seconds: number): string => {
  const minutes = seconds / 60
  return minutes % 1440 === 0 ? `${minutes / 1440} d` : minutes % 60 === 0 ? `${minutes / 60} h` : `${minutes} min`
}
