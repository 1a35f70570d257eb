import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { DynoSpec } from '../../daemon/engine/engine.ts'
import { raiseFirewall } from '../../daemon/engine/firewall.ts'
import { createLog } from '../../daemon/log.ts'
import { call, listContainers, listNetworks, listVolumes } from '../e2e/engine.ts'
import { createDockerRig } from '../engine/docker-rig.ts'
import { appOf, ended, outputOf, printed, textOf } from '../engine/rig.ts'

const rig = await createDockerRig(1, '/etc/hostname')
test.after(() => rig.close())
const engine = rig.engine()

/** Runs a dyno to its end, gives what it printed, and removes it. */
async function run(command: string, more: Partial<DynoSpec> = {}): Promise<string> {
  const { spec } = appOf(rig)
  const wanted = spec(command, more)
  await engine.start(wanted)
  const text = textOf(await outputOf(engine, wanted.id))
  await engine.stop(wanted.id, 0)
  await engine.removeApp(wanted.app.id)
  return text
}

test('A4: the environment of a dyno is byte-exact, the image adds nothing to it', async () => {
  const values = {
    CHARACTERS: '世界 ünï 🚀 \u00a0',
    LINES: 'one\ntwo\n\n  three\n',
    BLANKS: '  a  b\t ',
    QUOTES: `"double" 'single' \`tick\``,
    SHELL_WORDS: '$HOME $PATH $(id) \\ \\n !! * ; & |',
    EQUALS: '=a=b=',
    EMPTY: '',
    'with.dot-and-dash': 'kept',
    code: 'c',
    file: 'f',
  }
  const platform = ['PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/app']
  const env = [...platform, ...Object.entries(values).map(([name, value]) => `${name}=${value}`)]
  const command = 'cat /proc/self/environ'
  const code = { kind: 'slug', tree: await emptySlug(), command } as const
  const seen = (await run(command, { env, code })).split('\0').filter(Boolean)
  const own = seen.filter((entry) => !/^(HOSTNAME|PWD|SHLVL|_)=/.test(entry))
  assert.equal(own.sort(), env.sort())
})

test('profile scripts are sourced in order after the config vars, and one that fails stops nothing', async () => {
  const output = await run('echo "$FROM_A|$FROM_B|$FROM_PROFILE|$PATH|$PWD"; umask')
  assert.is(output, 'of a|of b|last|/app/bin:/usr/local/bin:/usr/bin:/bin|/app\n0077\n')
})

test('a PATH that names nothing useful keeps no command from its shell', async () => {
  assert.is(await run('echo "$PATH"', { env: ['PATH=/nowhere', 'HOME=/app'] }), '/app/bin:/nowhere\n')
})

test('a dyno sees its memory where buildpacks look for it', async () => {
  const file = '/sys/fs/cgroup/memory/memory.limit_in_bytes'
  const output = await run(`if [ -f ${file} ]; then cat ${file}; else echo $((MEMORY_AVAILABLE * 1048576)); fi`)
  assert.is(Number(output), appOf(rig).spec('').memory)
})

test('a dyno runs as an ordinary user without capabilities or a way to get any, and sees no engine', async () => {
  const script = `id -u; id -g; while read -r key value; do case $key in Cap*|NoNewPrivs:|Seccomp:) echo "$key $value";; esac; done < /proc/self/status
for socket in /var/run/docker.sock /run/docker.sock; do [ -e $socket ] && echo "$socket"; done; touch /etc/x 2>/dev/null || echo refused`
  const none = '0000000000000000'
  assert.equal((await run(script)).trim().split('\n'), [
    '1000',
    '1000',
    ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => `${name}: ${none}`),
    'NoNewPrivs: 1',
    'Seccomp: 2',
    'refused',
  ])
})

test('dynos of one slug write to an /app of their own, and the slug stays as it was', async () => {
  const { id, spec } = appOf(rig)
  const script =
    'echo "$DYNO" >> shared; echo new > "made-by-$DYNO"; rm .profile; cat shared; echo /app/made-by-*; echo ready; exec sleep 600'
  const dynos = ['web.1', 'web.2'].map((name) => spec(script, { name, env: ['PATH=/usr/bin:/bin', `DYNO=${name}`] }))
  for (const dyno of dynos) {
    await engine.start(dyno)
    await printed(engine, dyno.id, `as it was\n${dyno.name}\n/app/made-by-${dyno.name}\nready`)
  }
  assert.equal((await readdir(rig.slug)).sort(), ['.profile', '.profile.d', 'shared'])
  assert.is(await readFile(join(rig.slug, 'shared'), 'utf8'), 'as it was\n')
  await engine.removeApp(id)
  assert.equal(await rig.leftovers(), [])
})

test('every process of a dyno gets SIGTERM and may finish its work, whatever shell it stands below', async () => {
  const worker = (name: string) =>
    `(trap 'sleep 0.4; echo ${name} finished; exit' TERM; echo ${name} ready; while :; do sleep 0.05; done)`
  const { id, spec } = appOf(rig)
  const own = `setsid bash -c "${worker('session').replaceAll('"', '\\"')}"`
  const dyno = spec(`${worker('first')} & ${own} & ${worker('second')}; echo not reached`)
  await engine.start(dyno)
  for (const name of ['first', 'second', 'session']) await printed(engine, dyno.id, `${name} ready`)
  const output = outputOf(engine, dyno.id)
  await engine.stop(dyno.id, 10_000)
  const text = textOf(await output)
  for (const name of ['first', 'second', 'session']) assert.match(text, `${name} finished`)
  assert.not.match(text, 'not reached')
  await engine.removeApp(id)
})

test('a dyno ends with the exit code of its command, and only the kernel’s SIGKILL is taken for a lack of memory', async () => {
  const { id, spec } = appOf(rig)
  for (const [command, code, memory] of [
    ['no-such-command', 127, false],
    ['kill -TERM $$', 143, false],
    ['kill -KILL $$', 137, false],
    ['exec perl -e \'my $x = "x" x 300_000_000; sleep 9\'', 137, true],
  ] as const) {
    const dyno = spec(command, { memory: 64 * 1024 * 1024 })
    await engine.start(dyno)
    assert.is(await ended(engine, dyno.id), code, command)
    const listed = (await engine.list()).find((one) => one.id === dyno.id)
    assert.is(listed?.outOfMemory, memory, command)
  }
  await engine.removeApp(id)
})

test('memory without swap, CPU and processes are bounded, and no more CPU is asked for than there is', async () => {
  const { id, spec } = appOf(rig)
  await engine.start(spec('exec sleep 600', { memory: 128 * 1024 * 1024, pids: 20, cpu: 1000 }))
  const [container] = await listContainers(rig.installation)
  const { HostConfig } = await call<{ HostConfig: Record<string, unknown> }>('GET', `/containers/${container?.Id}/json`)
  const { NCPU } = await call<{ NCPU: number }>('GET', '/info')
  const { Memory, MemorySwap, NanoCpus, PidsLimit, PortBindings, LogConfig } = HostConfig
  assert.equal([Memory, MemorySwap, NanoCpus, PidsLimit], [134217728, 134217728, NCPU * 1e9, 20])
  assert.equal(
    [PortBindings, LogConfig],
    [null, { Type: 'local', Config: { 'max-size': '20m', 'max-file': '3', compress: 'false' } }],
  )
  await engine.removeApp(id)
  assert.match(
    await run('for n in $(seq 30); do sleep 1 & done; wait', { pids: 20 }),
    /Resource temporarily unavailable/,
  )
})

test('a dyno has CPU by its size where there is too little, is ended before what carries it, and after builds', async () => {
  const read =
    'cat /sys/fs/cgroup/cpu/cpu.shares 2>/dev/null || cat /sys/fs/cgroup/cpu.weight; cat /proc/self/oom_score_adj'
  const [one, two] = [await run(read, { cpu: 1 }), await run(read, { cpu: 2 })].map((text) => text.trim().split('\n'))
  const ratio = Number(two?.[0]) / Number(one?.[0])
  assert.ok(ratio > 1.9 && ratio < 2.1, `${one} and ${two}`)
  assert.equal([one?.[1], two?.[1]], ['250', '250'])
})

test('the engine says what a dyno uses, and of one that does not run nothing', async () => {
  const { id, spec } = appOf(rig)
  const dyno = spec(`printf -v held '%*s' 60000000 ''; echo held; sleep 600; echo "$held"`)
  await engine.start(dyno)
  for await (const { data } of engine.logs(dyno.id, 0, new AbortController().signal))
    if (data.toString().includes('held')) break
  const used = await engine.memoryUsed(dyno.id)
  assert.ok(used !== null && used > 60_000_000 && used < dyno.memory, String(used))
  await engine.removeApp(id)
  assert.is(await engine.memoryUsed(dyno.id), null)
})

test('a build that burns CPU leaves it to a dyno that does too', async () => {
  const { id, spec } = appOf(rig)
  const burn = 'for n in $(seq 4); do while :; do :; done & done; wait'
  const dyno = spec(burn, { cpu: 1000 })
  const { memory, pids } = dyno
  const ended = new AbortController()
  const build = { id: `${id}-burn`, app: id, image: rig.image, command: ['/bin/bash', '-c', burn], env: [], mounts: [] }
  await engine.start(dyno)
  const running = await engine.build({ ...build, memory, pids, cpu: 1000 }, ended.signal)
  const before = [await cpuOf('dyno'), await cpuOf('build')] as const
  let after = before
  while (after[0] - before[0] < CPU_SECOND) after = [await cpuOf('dyno'), await cpuOf('build')]
  ended.abort(new Error('enough'))
  await running.exit.catch(() => {})
  await engine.stop(dyno.id, 0)
  await engine.removeApp(id)
  await engine.sweepBuilds()
  const [ofDyno, ofBuild] = [after[0] - before[0], after[1] - before[1]]
  assert.ok(ofDyno > 3 * ofBuild, `of the dyno ${ofDyno} ns, of the build ${ofBuild} ns`)
})

const CPU_SECOND = 1e9

/** CPU time of the container of this kind, ns. */
async function cpuOf(kind: string): Promise<number> {
  const found = (await listContainers(rig.installation)).find(({ Labels }) => Labels['sluice.kind'] === kind)
  const path = `/containers/${found?.Id}/stats?stream=false&one-shot=true`
  return (await call<{ cpu_stats: { cpu_usage: { total_usage: number } } }>('GET', path)).cpu_stats.cpu_usage
    .total_usage
}

test('dynos of one app reach one another, those of another app do not', async () => {
  const reach = { pool: '10.102.1.0/24', routerPorts: [8080], allow: [], deny: [] }
  const firewall = await raiseFirewall({ installation: rig.installation, reach, log: createLog(() => {}) })
  const one = appOf(rig)
  const other = appOf(rig)
  const network = { name: `${rig.network.name}-other`, subnet: '10.102.1.64/26' }
  const listen = `exec perl -e 'socket(S,2,1,6); bind(S,pack("Sna4x8",2,5000,"\\0"x4)) or die; listen(S,9); $|=1; print "ready\\n"; while(accept(C,S)){syswrite(C,"hello\\n");close(C)}'`
  const server = one.spec(listen)
  const { address } = await engine.start(server)
  await printed(engine, server.id, 'ready')
  const connect = (patience: number) =>
    `exec perl -e '$SIG{ALRM}=sub{print "no way\\n";exit}; alarm ${patience}; socket(S,2,1,6); connect(S,pack("Sna4x8",2,5000,pack("C4",split(/\\./,"${address}")))) or do {print "no way\\n";exit}; print <S>'`
  const results = []
  for (const client of [one.spec(connect(60)), other.spec(connect(2), { network })]) {
    await engine.start(client)
    results.push(textOf(await outputOf(engine, client.id)))
  }
  assert.equal(results, ['hello\n', 'no way\n'])
  firewall.close()
  await engine.removeApp(one.id)
  await engine.removeApp(other.id)
  assert.equal(await rig.leftovers(), [])
})

test('the host’s certificate authorities stand in for those of the image', async () => {
  assert.is(await run('cat /etc/ssl/certs/ca-certificates.crt'), await readFile('/etc/hostname', 'utf8'))
})

test('a line longer than the engine’s pieces comes whole, whatever bytes it has', async () => {
  const script = `perl -e 'print "x" x 100_000, "\\xff\\n"; print STDERR "after\\n"'`
  const { id, spec } = appOf(rig)
  const dyno = spec(script)
  await engine.start(dyno)
  const chunks = await outputOf(engine, dyno.id)
  const whole = Buffer.concat(chunks.filter(({ stream }) => stream === 'stdout').map(({ data }) => data))
  assert.equal([whole.length, whole.at(-2), whole.at(-1)], [100_002, 0xff, 0x0a])
  await engine.removeApp(id)
})

test('no config var and no command is in a label or a name', async () => {
  const { id, spec } = appOf(rig)
  await engine.start(spec('exec sleep 600 # topsecret', { env: ['PATH=/usr/bin:/bin', 'KEY=topsecret'] }))
  for (const { Id, ...shown } of await call<Record<string, unknown>[]>('GET', '/containers/json')) {
    const { Labels, Names } = shown
    assert.not.match(JSON.stringify([Id, Labels, Names]), 'topsecret')
  }
  assert.not.match(
    JSON.stringify([await listNetworks(rig.installation), await listVolumes(rig.installation)]),
    'topsecret',
  )
  await engine.removeApp(id)
})

async function emptySlug(): Promise<string> {
  const path = join(rig.data, 'slugs', 'empty')
  await promisify(execFile)('install', ['-d', '-o', '1000', '-g', '1000', path])
  return path
}

test.run()
