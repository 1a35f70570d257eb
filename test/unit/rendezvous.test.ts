import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Clock } from '../../daemon/clock.ts'
import { EngineError, type Process, type Terminal } from '../../daemon/engine/engine.ts'
import { createLog } from '../../daemon/log.ts'
import { meet } from '../../daemon/run/bridge.ts'
import { createRendezvous, type Meeting, type Rendezvous, SECRET_LENGTH } from '../../daemon/run/rendezvous.ts'
import { waitFor } from '../e2e/wait.ts'

const GREETING = 'rendezvous\r\n'
const log = createLog(() => {})
const pipes: Terminal = { kind: 'pipes' }
const tty: Terminal = { kind: 'tty', columns: 80, rows: 24 }

/** A clock that stands still until it is told otherwise. */
function createStill(): Clock & { pass(ms: number): void } {
  let now = 0
  const alarms = new Set<{ at: number; wake: () => void }>()
  return {
    now: () => now,
    at(at, wake) {
      const alarm = { at, wake }
      alarms.add(alarm)
      return () => alarms.delete(alarm)
    },
    pass(ms) {
      now += ms
      for (const alarm of alarms) if (alarm.at <= now && alarms.delete(alarm)) alarm.wake()
    },
  }
}

const clock = createStill()
let rendezvous: Rendezvous
let client: Socket
let server: Socket
let received: string
test.before.each(async () => {
  rendezvous = createRendezvous(clock)
  ;[server, client] = await pair()
  received = ''
  client.on('data', (chunk) => {
    received += chunk
  })
})
test.after.each(() => {
  client.destroy()
  server.destroy()
})

/** A program of this machine behind pipes, as an engine gives it. */
function program(command: string): Process & { hangups: number } {
  const child = spawn('bash', ['-c', command])
  const output = async function* () {
    for await (const data of child.stdout) yield { stream: 'stdout' as const, data: data as Buffer }
  }
  return {
    input: child.stdin,
    output: output(),
    exit: once(child, 'close').then(([code]) => code as number),
    resize: async () => {},
    hangups: 0,
    async hangup() {
      this.hangups++
      child.kill('SIGKILL')
    },
  }
}

const meetingWith = (process: Process, terminal: Terminal = pipes, more: Partial<Meeting> = {}): Meeting => ({
  ...{ app: 'a', dyno: 'run.1234', terminal, open: async () => process, missed() {} },
  ...more,
})

const begin = (meeting: Meeting): void => meet({ rendezvous, log, clock }, server, rendezvous.invite(meeting))

test('a secret cannot begin an HTTP request, is never the same, and is good once', () => {
  const meeting = meetingWith(program('true'))
  const secret = rendezvous.invite(meeting)
  assert.match(secret, /^[0-9a-f]+$/)
  assert.is(secret.length, SECRET_LENGTH)
  assert.is.not(rendezvous.invite(meeting), secret)
  assert.is(rendezvous.claim(secret), meeting)
  assert.is(rendezvous.claim(secret), undefined)
  assert.is(rendezvous.claim('0'.repeat(SECRET_LENGTH)), undefined)
})

test('so many of one app may wait, and none when the daemon stops', () => {
  const refusal = /wait for their clients already/
  for (let count = 0; count < 40; count++) rendezvous.invite(meetingWith(program('true')))
  assert.throws(() => rendezvous.invite(meetingWith(program('true'))), refusal)
  const secret = rendezvous.invite(meetingWith(program('true'), pipes, { app: 'another' }))
  rendezvous.close()
  assert.is(rendezvous.claim(secret), undefined)
})

test('a client that does not come in time is missed, and its secret is no good any more', () => {
  let missed = 0
  const secret = rendezvous.invite(meetingWith(program('true'), pipes, { missed: () => missed++ }))
  const met = rendezvous.invite(meetingWith(program('true'), pipes, { missed: () => missed++ }))
  rendezvous.claim(met)
  clock.pass(59_999)
  assert.is(missed, 0)
  clock.pass(1)
  assert.is(missed, 1)
  assert.is(rendezvous.claim(secret), undefined)
})

test('input and output are passed on, and the connection ends with the process', async () => {
  begin(meetingWith(program('cat; echo done')))
  client.write('一\n')
  await waitFor('the echo', () => received === `${GREETING}一\n`)
  client.write(Buffer.from([4]))
  await once(client, 'end')
  assert.is(received, `${GREETING}一\ndone\n`)
})

test('an EOT among other bytes, or for a terminal, is passed on', async () => {
  begin(meetingWith(program('head -c 5'), tty))
  client.write(Buffer.from([4]))
  await waitFor('the greeting', () => received === GREETING)
  client.write('a\x04bc')
  await once(client, 'end')
  assert.is(received, `${GREETING}\x04a\x04bc`)
})

test('a megabyte passes both ways without loss', async () => {
  begin(meetingWith(program('cat')))
  const text = 'x'.repeat(1_000_000)
  client.write(text)
  await waitFor('all of it', () => received.length === GREETING.length + text.length)
})

test('a client that does not read holds the process up, not memory', async () => {
  client.pause()
  let read = 0
  const endless = async function* () {
    for (; read < 1000; read++) yield { stream: 'stdout' as const, data: Buffer.alloc(1_000_000) }
  }
  const process = { ...program('cat'), output: endless() }
  begin(meetingWith(process))
  let before = -1
  await waitFor('the reading to stop', () => {
    const stopped = read === before && read > 0
    before = read
    return stopped
  })
  assert.ok(read < 100, `${read} MB were read`)
  await process.hangup()
})

test('what may be half of an end of line is shown all the same when nothing follows it', async () => {
  begin(meetingWith(program('printf "10%%\\r"; cat'), tty))
  await waitFor('the line', () => received === `${GREETING}10%`)
  clock.pass(900)
  assert.is(server.bytesWritten, `${GREETING}10%`.length)
  clock.pass(100)
  await waitFor('its end', () => received === `${GREETING}10%\r`)
  client.end()
})

test('a client that goes while its input is not read is noticed', async () => {
  const process = program('sleep 60')
  begin(meetingWith(process))
  client.write('x'.repeat(500_000))
  await waitFor('the greeting', () => received === GREETING)
  client.end()
  await waitFor('the hangup', () => process.hangups === 1)
})

test('when the client goes, the process is hung up, also while it starts', async () => {
  const process = program('sleep 60')
  begin(meetingWith(process))
  await waitFor('the greeting', () => received === GREETING)
  client.end()
  await waitFor('the hangup', () => process.hangups === 1)

  const late = program('sleep 60')
  const started = new PassThrough()
  const open = async () => {
    await once(started, 'close')
    return late
  }
  const [other, end] = await pair()
  meet({ rendezvous, log, clock }, other, rendezvous.invite(meetingWith(late, pipes, { open })))
  end.destroy()
  await waitFor('the end of the connection', () => other.destroyed)
  started.destroy()
  await waitFor('the hangup', () => late.hangups === 1)
})

test('a process that cannot be had is told, in words', async () => {
  const open = () => Promise.reject(new EngineError('The dyno was stopped before it had started.'))
  begin(meetingWith(program('true'), pipes, { open }))
  await once(client, 'end')
  assert.is(received, `${GREETING} !     The dyno was stopped before it had started.\r\n`)
})

test('a secret that nobody knows is told, in words', async () => {
  meet({ rendezvous, log, clock }, server, 'f'.repeat(SECRET_LENGTH))
  await once(client, 'end')
  assert.match(received, /^rendezvous\r\n !.*Run the command again\.\r\n$/)
})

async function pair(): Promise<[Socket, Socket]> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const end = connect((listener.address() as { port: number }).port, '127.0.0.1')
  const [other] = (await once(listener, 'connection')) as [Socket]
  end.on('error', () => {})
  listener.close()
  return [other, end]
}

test.run()
