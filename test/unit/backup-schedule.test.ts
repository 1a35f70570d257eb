import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Backups, createBackups } from '../../daemon/backup/backups.ts'
import type { makeBackup } from '../../daemon/backup/make.ts'
import { wordsOf } from '../../daemon/backup/shelf.ts'
import { readConfig } from '../../daemon/config.ts'
import type { Daemon } from '../../daemon/daemon.ts'
import { UserError } from '../../daemon/errors.ts'
import { createLog } from '../../daemon/log.ts'
import { findingOf } from '../../daemon/watch/backup.ts'
import { waitFor } from '../e2e/wait.ts'
import { createStillClock } from './still-clock.ts'

/** When backups are made by themselves, in still time; each takes as long as the test wants. */
const HOUR = 3_600_000
const START = Date.parse('2026-11-28T00:00:00Z')

let data = ''
let logged: string[] = []
let clock = createStillClock(START)
/** Those that were begun. */
let begun: { end(failure?: Error): void }[] = []
let backups: Backups

const makeOne: typeof makeBackup = (_, tell, signal) =>
  new Promise((resolve, reject) => {
    tell({ done: 1, of: 2 })
    signal.addEventListener('abort', () => reject(signal.reason))
    begun.push({
      end: (failure) =>
        failure
          ? reject(failure)
          : resolve({ name: `number-${begun.length}`, size: 1, at: clock.now(), encrypted: false }),
    })
  })

async function start(every?: string): Promise<void> {
  const config = readConfig({ SLUICE_DATA: data, ...(every === undefined ? {} : { SLUICE_BACKUP_EVERY: every }) })
  const d = { config, clock, log: createLog((line) => logged.push(line)) } as unknown as Daemon
  begun = []
  backups = createBackups(() => d, makeOne)
  await backups.start()
}

const made = async (count: number): Promise<void> =>
  void (await waitFor(`${count} to be begun`, () => begun.length >= count))
const idle = async (): Promise<void> => void (await waitFor('the end of it', () => backups.making === undefined))

test.before.each(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-schedule-'))
  clock = createStillClock(START)
  logged = []
})
test.after.each(async () => {
  await backups.close()
  await rm(data, { recursive: true })
})

async function endAll(failure?: Error): Promise<void> {
  begun.at(-1)?.end(failure)
  await idle()
}

test('the first is made at once, and each next when its time has come', async () => {
  await start('24h')
  clock.pass(0)
  await made(1)
  assert.equal(backups.making, { done: 1, of: 2 })
  await endAll()
  assert.equal(backups.last, { at: START, name: 'number-1', failure: null })
  clock.pass(24 * HOUR - 1)
  assert.is(begun.length, 1)
  await waitFor('the next to be set', () => {
    clock.pass(1)
    return begun.length === 2
  })
})

test('without a schedule none is made', async () => {
  await start()
  clock.pass(1000 * HOUR)
  assert.is(begun.length, 0)
})

test('one that failed is on record and in the log, and is tried again after an hour', async () => {
  await start('7d')
  clock.pass(0)
  await made(1)
  await endAll(new UserError('internal_server_error', 'There is no room.'))
  assert.equal(backups.last, { at: START, name: null, failure: 'There is no room.' })
  assert.ok(logged.some((line) => line.startsWith('<3>') && line.includes('a backup was not made')))
  await waitFor('the next to be set', () => {
    clock.pass(HOUR)
    return begun.length === 2
  })
})

test('a restart neither forgets what came of the last one nor makes the next one sooner or later', async () => {
  await start('24h')
  clock.pass(0)
  await made(1)
  await endAll()
  await backups.close()
  clock.pass(20 * HOUR)
  await start('24h')
  assert.equal(backups.last, { at: START, name: 'number-1', failure: null })
  clock.pass(4 * HOUR - 1)
  assert.is(begun.length, 0)
  clock.pass(1)
  await made(1)
})

test('one at a time: a second is refused, and one that is due while another is made is not made too', async () => {
  await start('24h')
  const mine = backups.make()
  clock.pass(0)
  assert.is(await backups.make().catch((error: UserError) => error.id), 'conflict')
  assert.is(begun.length, 1)
  begun[0]?.end()
  assert.is((await mine).name, 'number-1')
  await waitFor('the next to be set', () => {
    clock.pass(24 * HOUR)
    return begun.length === 2
  })
})

test('a daemon that stops gives up the one that is made, and holds nothing against it', async () => {
  await start()
  const mine = backups.make().catch((error: UserError) => error.message)
  await backups.close()
  assert.match(String(await mine), /The platform is stopping/)
  assert.is(backups.last, undefined)
})

test('the doctor says when the last one was not made, and when there is none', () => {
  const kept = [{ name: 'a', size: 1, at: START, encrypted: false }]
  const state = (asked: Partial<Parameters<typeof findingOf>[0]>) => {
    const { state, text, remedy } = findingOf({
      ...{ last: undefined, kept: [], every: undefined, now: START, fault: undefined },
      ...asked,
    })
    return [state, text, remedy]
  }
  assert.equal(state({ kept }), ['ok', 'The newest is of 2026-11-28T00:00:00.000Z.', undefined])
  assert.equal(state({ last: { at: START, name: null, failure: 'There is no room.' }, kept }), [
    'fail',
    'The last one was not made, at 2026-11-28T00:00:00.000Z: There is no room. The newest is of 2026-11-28T00:00:00.000Z.',
    'When that is mended: sluice backup',
  ])
  assert.equal(state({ every: HOUR }), ['warn', 'There is none yet.', 'Make one: sluice backup'])
  assert.is(state({})[0], 'warn')
  assert.equal(state({ kept, fault: 'It is a file.' }), ['fail', 'None can be made. It is a file.', undefined])
  const days = (now: number, every?: number) => state({ kept, every, now: START + now * 24 * HOUR })[0]
  assert.equal([days(6), days(8), days(1, 24 * HOUR), days(3, 24 * HOUR)], ['ok', 'warn', 'ok', 'warn'])
})

test('a folder that nothing can be put into is told with what to do, by where the daemon runs', () => {
  const words = (code: string, bounded: boolean) => wordsOf(Object.assign(new Error(code), { code }), '/srv/b', bounded)
  assert.match(words('EROFS', true), /systemctl edit sluiced/)
  assert.match(words('EROFS', true), /"ReadWritePaths=\/srv\/b"/)
  assert.match(words('EROFS', false), /mounted read-only/)
  assert.match(words('EACCES', true), /Give the folder to its user, sluice/)
  for (const code of ['EROFS', 'EACCES', 'ENOTDIR']) assert.match(words(code, true), /\/srv\/b \(SLUICE_BACKUPS\)/)
})

test('settings that make no sense are refused at start', () => {
  const refused = (env: object) => {
    try {
      readConfig(env)
    } catch (error) {
      return String(error)
    }
    return 'it went through'
  }
  for (const every of ['24', 'daily', '0h', '5m', '-1d', '1.5h'])
    assert.match(refused({ SLUICE_BACKUP_EVERY: every }), /SLUICE_BACKUP_EVERY is ".*"; it must be a time such as 24h/)
  assert.match(refused({ SLUICE_BACKUP_KEEP: '0' }), /SLUICE_BACKUP_KEEP is "0"/)
  assert.match(refused({ SLUICE_BACKUP_PASSPHRASE_FILE: '/nowhere' }), /must be the whole path of a file that is there/)
  assert.is(readConfig({ SLUICE_BACKUP_EVERY: '90m' }).backups.every, 1.5 * HOUR)
})

test.run()
