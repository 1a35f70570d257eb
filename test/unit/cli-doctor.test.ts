import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { examine, type Finding } from '../../cli/finding.ts'
import { dataLook } from '../../cli/host/data.ts'
import * as engine from '../../cli/host/engine.ts'
import { clockOff, memory, node, synchronized, version1 } from '../../cli/host/machine.ts'
import * as port from '../../cli/host/port.ts'
import { lastComplaint, whySilent } from '../../cli/host/silence.ts'
import * as unit from '../../cli/host/unit.ts'

let folder = ''
test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-doctor-'))
})
test.after.each(() => rm(folder, { recursive: true, force: true }))

const said = (found: Finding[]): string[] => found.map(({ state, text }) => `${state} ${text}`)
const never = new AbortController().signal
/** Whoever is told of a fault is told what to do about it, and nobody else. */
const helps = (found: Finding[]) => {
  for (const one of found) assert.is(one.remedy === undefined, one.state === 'ok', JSON.stringify(one))
}

test('a look that hangs or breaks is told and holds up no other', async () => {
  const found = await examine(
    [
      { check: 'hangs', look: () => new Promise(() => {}) },
      { check: 'breaks', look: () => Promise.reject(new Error('no')) },
      { check: 'well', look: async () => [{ check: 'well', state: 'ok', text: 'Well.' }] },
    ],
    20,
  )
  assert.equal(said(found), [
    'warn It could not be looked at within 0.02 seconds.',
    'warn It could not be looked at: no',
    'ok Well.',
  ])
})

test('the machine: memory, Node.js, controllers, the clock', () => {
  const states = [memory(1e9), memory(8e9), node('18.20.1'), node('20.1.0')].flat()
  assert.equal(
    states.map(({ state }) => state),
    ['warn', 'ok', 'fail', 'ok'],
  )
  assert.equal(
    ['yes', 'no', ''].map((word) => synchronized(word).state),
    ['ok', 'warn', 'warn'],
  )
  assert.equal(version1('#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t1\t1\nmemory\t0\t1\t0\n'), ['cpu'])
  helps(states)
})

const INFO: engine.Info = {
  ...{ ServerVersion: '26.1.0', Driver: 'overlay2', LiveRestoreEnabled: true },
  ...{ SecurityOptions: ['name=seccomp,profile=default'], Warnings: null, SystemTime: '1970-01-01T00:00:10Z' },
}

test('the engine: one that is well, and what is not well about others', () => {
  assert.equal(said(engine.judged(INFO, 10_000, 10_000)), ['ok Docker 26.1.0 with overlay2.'])
  const bad = engine.judged(
    {
      ...{ ServerVersion: '19.03.1', Driver: 'vfs', LiveRestoreEnabled: false, SecurityOptions: [] },
      ...{
        Warnings: ['WARNING: No swap limit support', 'WARNING: something else'],
        SystemTime: '1970-01-01T00:01:00Z',
      },
    },
    10_000,
    10_000,
  )
  assert.equal(said(bad), [
    'warn Docker 19.03.1 is older than 20.10, with which Sluice is tested.',
    'warn It stores images with vfs, which is slow or wastes disk.',
    'warn Dynos end whenever it is restarted.',
    'warn It does not filter system calls (seccomp).',
    'warn It says: No swap limit support',
    "warn Its clock is 50 s off this one's.",
  ])
  helps(bad)
  const swarm = engine.judged(
    { ...INFO, LiveRestoreEnabled: false, Swarm: { LocalNodeState: 'active' } },
    10_000,
    10_000,
  )
  assert.is(swarm.length, 1, 'live restore and a swarm exclude each other')
})

test('a clock is off by what lies outside of question and answer, however long that took', () => {
  assert.equal(
    [50, 100, 150, 200, 230].map((at) => clockOff(at, 100, 200)),
    [-50, 0, 0, 0, 30],
  )
})

test('an engine that is not there, and one that is', async () => {
  const socket = join(folder, 'engine.sock')
  const look = () => engine.engineLook(socket).look(never)
  assert.equal(said(await look()), [`fail The Docker engine at ${socket} is not there.`])
  const server = createServer((_, res) => res.end(JSON.stringify({ ...INFO, SystemTime: undefined })))
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  assert.equal(said(await look()), ['ok Docker 26.1.0 with overlay2.'])
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

test('ports: ours, nobody’s, somebody’s', async () => {
  const row = (local: string, state: string, inode: number) =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 100 0 0 10 0`
  const table = ['  sl  local_address', row('0100007F:1388', '0A', 7), row('0100007F:1389', '01', 8), ''].join('\n')
  assert.equal(port.listening(table), [{ port: 5000, inode: '7' }])
  const held = (command: string, name = 'node') => ({ pid: '7', name, command })
  const found = [
    port.judged(80, 'router', true, [
      held('/usr/bin/node /opt/sluice/dist/router/main.js'),
      held('/lib/systemd/systemd --system'),
    ]),
    port.judged(80, 'router', true, [held('nginx --secret=x', 'nginx')]),
    port.judged(5000, 'daemon', true, [held('node dist/router/main.js')]),
    port.judged(443, 'router', true, []),
    port.judged(443, 'router', false, []),
  ]
  assert.equal(said(found), [
    'ok Port 80 (router) is ours.',
    'fail Port 80 (router) is held by another program: nginx (process 7).',
    'fail Port 5000 (daemon) is held by another program: node (process 7).',
    'warn Port 443 (router) is held by a process that you may not see.',
    'fail Port 443 (router): nobody listens.',
  ])
  helps(found)
})

test('who has a port is found by its socket', async () => {
  const server = createServer()
  // at all addresses: at another than ours somebody else might have the same port
  await new Promise<void>((resolve) => server.listen(0, resolve))
  const { port: free } = server.address() as { port: number }
  const place = { data: '', engine: '', api_port: free, http_port: free, tls_port: free }
  const [found] = await examine(port.portLooks(place))
  assert.match(found?.text ?? '', new RegExp(`held by another program: node \\(process ${process.pid}\\)`))
  await new Promise((resolve) => server.close(resolve))
})

test('units: not installed, well, failed, not enabled, without a watchdog, restarted again and again', () => {
  const text = 'Id=sluiced.service\nLoadState=loaded\nExecStart={ a=b }\n\nId=x.socket\nLoadState=not-found\n'
  const [first = {}, second = {}] = unit.parsed(text)
  assert.equal([first.Id, first.ExecStart, second.LoadState], ['sluiced.service', '{ a=b }', 'not-found'])
  const well = {
    ...{ Id: 'sluiced.service', LoadState: 'loaded', ActiveState: 'active', SubState: 'running', Result: 'success' },
    ...{ UnitFileState: 'enabled', NRestarts: '0', WatchdogUSec: '1min' },
  }
  assert.equal(said(unit.judged([second])), ['ok None is installed: the platform is run by hand.'])
  assert.equal(said(unit.judged([well, second])), ['ok sluiced.service: active and enabled.'])
  const found = unit.judged([
    { ...well, Id: 'sluice-http.socket', WatchdogUSec: '' },
    // what systemd knows of one that has never run
    { ...well, ActiveState: 'failed', SubState: 'failed', Result: 'exit-code', WatchdogUSec: 'infinity' },
    { ...well, ActiveState: 'activating', SubState: 'auto-restart', ExecMainStatus: '243' },
    { ...well, ActiveState: 'activating', SubState: 'auto-restart', Result: 'exit-code', NRestarts: '9' },
    { ...well, NRestarts: '9', UnitFileState: 'disabled', WatchdogUSec: '0' },
  ])
  assert.equal(said(found), [
    'fail sluiced.service is failed (failed, exit-code).',
    'fail sluiced.service does not start: systemd cannot open the sealing key for it.',
    'fail sluiced.service is activating (auto-restart, exit-code).',
    'warn sluiced.service was restarted 9 times.',
    'warn sluiced.service does not start with the machine.',
    'warn sluiced.service has no watchdog: one that hangs is not restarted.',
  ])
  helps(found)
})

test('the data folder: missing, open to others, keys that others may read', async () => {
  const look = () => dataLook(join(folder, 'data')).look(never)
  assert.match(said(await look())[0] ?? '', /^fail .* is not there\.$/)
  const data = join(folder, 'data')
  await mkdir(data, { mode: 0o700 })
  for (const name of ['seal.key', 'router.token']) await writeFile(join(data, name), '', { mode: 0o600 })
  const about = async (what: RegExp) => said(await look()).filter((text) => what.test(text))
  assert.equal(await about(/^fail Others/), [])
  await writeFile(join(data, 'sluice.db'), '', { mode: 0o644 })
  assert.equal(await about(/^fail Others/), [], 'nobody gets there')
  await rm(join(data, 'sluice.db'))
  await chmod(data, 0o750)
  assert.equal(await about(/^fail Others/), [`fail Others on this machine may look into ${data}.`])
  await chmod(data, 0o710)
  await chmod(join(data, 'router.token'), 0o640)
  assert.equal(await about(/^fail Others/), [], 'a router may be another user of the group')
  await chmod(join(data, 'seal.key'), 0o640)
  assert.equal(await about(/^fail Others/), [`fail Others may read or change ${join(data, 'seal.key')}.`])
})

test('the last complaint of a log, in words', () => {
  assert.is(lastComplaint(''), undefined)
  assert.is(lastComplaint('<6>{"level":"info","event":"ready"}\n'), undefined)
  const log = [
    '<3>{"level":"error","event":"old"}',
    '<4>{"level":"warn","event":"a router is gone","error":"Error: it is gone\\n    at x.ts:1"}',
    '<6>{"level":"info","event":"ready"}',
  ]
  assert.is(lastComplaint(log.join('\n')), 'a router is gone: Error: it is gone')
  assert.is(lastComplaint(`${log[0]}\nsluice: Port 5000 of 127.0.0.1 is taken.\n`), 'Port 5000 of 127.0.0.1 is taken.')
  const unmarked = '{"level":"error","event":"from the journal"}'
  assert.is(lastComplaint(unmarked), 'from the journal')
})

test('why a daemon gave up is found in the journal, where that sentence has no priority', async () => {
  const path = process.env.PATH
  const lines = ['{"level":"warn","event":"before"}', 'sluice: SLUICE_DISK is "10G".', 'sluiced.service: Failed.']
  const journal = `#!/bin/sh\ncase "$*" in *--priority*) exit ;; esac\ncat <<'END'\n${lines.join('\n')}\nEND\n`
  await writeFile(join(folder, 'journalctl'), journal, { mode: 0o755 })
  process.env.PATH = `${folder}:${path}`
  try {
    assert.match(await whySilent(folder, never), /The daemon's last complaint: SLUICE_DISK is "10G"\.$/)
  } finally {
    process.env.PATH = path
  }
})

test.run()
