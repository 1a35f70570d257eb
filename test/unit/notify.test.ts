import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hostEnvironment } from '../../daemon/config.ts'
import { limits } from '../../daemon/limits.ts'
import { createNotify, supervisorIn, tellStart } from '../../daemon/notify.ts'
import { waitFor } from '../e2e/wait.ts'

let folder = ''
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-notify-'))
})
test.after(() => rm(folder, { recursive: true }))

test('systemd is there when it says so, watches whom it says, and its descriptor is the one of that name', () => {
  assert.is(supervisorIn({}), undefined)
  assert.equal(supervisorIn({ NOTIFY_SOCKET: '/run/notify' }, 7), { fd: undefined, watchdog: 0 })
  const told = {
    NOTIFY_SOCKET: '/run/notify',
    WATCHDOG_USEC: '30000000',
    LISTEN_PID: '7',
    LISTEN_FDNAMES: 'api:notify',
  }
  assert.equal(supervisorIn({ ...told, WATCHDOG_PID: '7' }, 7), { fd: 4, watchdog: 30_000 })
  assert.equal(supervisorIn({ ...told, WATCHDOG_PID: '8' }, 8), { fd: undefined, watchdog: 30_000 })
  assert.is(supervisorIn({ ...told, WATCHDOG_PID: '8' }, 7)?.watchdog, 0)
})

test('what is for the daemon alone is not passed to the programs that it starts', () => {
  const env = {
    PATH: '/bin',
    NOTIFY_SOCKET: 'x',
    LISTEN_FDS: '1',
    CREDENTIALS_DIRECTORY: '/c',
    SLUICE_ADMIN_TOKEN: 't',
  }
  assert.equal(hostEnvironment(env), { PATH: '/bin' })
})

test('messages go to the descriptor, each whole', async () => {
  const path = join(folder, 'socket')
  const fd = openSync(path, 'a')
  const notify = createNotify({ fd, watchdog: 0 })
  await notify('READY=1', 'STATUS=all is well')
  assert.is(readFileSync(path, 'utf8'), 'READY=1\nSTATUS=all is well')
  closeSync(fd)
})

test('without one they go by the command of systemd, in their order, and a command that is missing is no error', async () => {
  const { PATH } = process.env
  const told = join(folder, 'told')
  try {
    // the first is slower
    const script = `#!/bin/sh\n[ "$1" != STATUS=starts ] || sleep 0.1\necho "$@" >>${told}\n`
    await writeFile(join(folder, 'systemd-notify'), script, { mode: 0o755 })
    process.env.PATH = `${folder}:${PATH}`
    const notify = createNotify({ fd: undefined, watchdog: 0 })
    await Promise.all([notify('STATUS=starts'), notify('READY=1', 'STATUS=serves')])
    assert.is(await readFile(told, 'utf8'), 'STATUS=starts\nREADY=1 STATUS=serves\n')
    process.env.PATH = '/nowhere'
    await notify('WATCHDOG=1')
  } finally {
    process.env.PATH = PATH
  }
})

test('a start says what it is at and asks for time, until every app had its look', async () => {
  const told: string[][] = []
  const start = tellStart(async (...states) => void told.push(states))
  start.status('Looking at every app')
  assert.equal(told, [
    ['STATUS=Opening the database and asking the engine', 'EXTEND_TIMEOUT_USEC=30000000'],
    ['STATUS=Looking at every app', 'EXTEND_TIMEOUT_USEC=30000000'],
  ])
  let over = false
  void start.over.then(() => {
    over = true
  })
  await new Promise(setImmediate)
  assert.not(over)
  start.reconciled()
  await start.over
})

test('a start that goes on asks for time again and again, but not for ever', async () => {
  const { startSign, longestStart } = limits
  const counted = () => {
    let told = 0
    const { close } = tellStart(async () => void told++)
    return { close, told: () => told }
  }
  Object.assign(limits, { startSign: 5 })
  const long = counted()
  Object.assign(limits, { longestStart: 0 })
  const over = counted()
  await waitFor('one to ask again', () => long.told() >= 5, { every: 1 })
  assert.is(over.told(), 1)
  for (const { close } of [long, over]) close()
  Object.assign(limits, { startSign, longestStart })
})

test.run()
