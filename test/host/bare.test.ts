import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Command, Outcome } from '../e2e/command.ts'
import { describe, startLoad } from '../e2e/load.ts'
import { sampleFiles } from '../e2e/source.ts'
import { waitFor } from '../e2e/wait.ts'
import { type BareSite, takeBareSite } from './bare-site.ts'

/** What an operator does with an archive of Sluice on a Debian 12 that has nothing else, in order. Its systemd is 252. */
let site: BareSite
test.before(async () => {
  site = await takeBareSite()
})
test.after(() => site?.leave())

const run = (...command: [string, ...string[]]) => site.machine.run(command)
const must = (...command: [string, ...string[]]) => site.machine.must(command)
const shell = (line: string) => must('sh', '-ec', line)
/** ms. It fetches and unpacks 200 MB, and others wait for it. */
const LONG = 480_000
const install = (...args: string[]): Command =>
  site.machine.run(['bash', join(site.release, 'install.sh'), ...args], { timeout: LONG })
const output = ({ code, output }: Outcome): string => {
  if (code !== 0) throw new Error(`it ended with ${code}:\n${output}`)
  return output
}
const shown = async (unit: string, property: string) => (await must('systemctl', 'show', '-P', property, unit)).trim()

/** It must end with 1 and this sentence, and leave nothing of Sluice behind. */
async function refused(sentence: RegExp, outcome: Promise<Outcome> = install('--yes')): Promise<void> {
  const { code, output } = await outcome
  assert.is(code, 1, output)
  assert.match(output, sentence)
  const there = await run('ls', '/opt/sluice', '/etc/sluice', '/etc/systemd/system/sluiced.service')
  assert.is(there.stdout, '')
}

const FIRST = ['--domain=apps.example.com', '--api=api.example.com', '--yes']

test('it says by name what would be installed and started, and where the images of apps come from', async () => {
  const told = output(await install('--dry-run', '--domain=apps.example.com'))
  assert.match(told, /packages {3}git zstd nftables iptables docker-registry docker\.io ca-certificates\n/)
  assert.match(told, /engine {5}docker\.service, started now/)
  assert.match(told, /stacks .*mmdebstrap/)
})

test('a machine without IPv6 is as good: its kernel has no table for that', async () => {
  for (const [program, code] of Object.entries({ awk: 2, cat: 1 }))
    await site.machine.write(`/root/without/${program}`, withoutIpv6(program, code), 0o755)
  const path = '/root/without:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  const script = join(site.release, 'install.sh')
  assert.match(
    output(await run('env', `PATH=${path}`, 'bash', script, '--dry-run')),
    /Sluice 0\.1\.0 will be installed/,
  )
})

/** Ends as a program does that is to read the table too, once it has read the rest. */
const withoutIpv6 = (program: string, code: number) => `#!/bin/bash
args=()
for one; do if [ "$one" = /proc/net/tcp6 ]; then code=${code}; else args+=("$one"); fi; done
/usr/bin/${program} "\${args[@]}" || exit
exit \${code:-0}
`

test('what is in its way it tells before anything is changed: a port, another engine, an engine that may not start', async () => {
  const perl = `my $socket = IO::Socket::INET->new(LocalPort => 80, Listen => 1) or die; sleep`
  await must('systemd-run', '--unit=squatter', 'perl', '-MIO::Socket::INET', '-e', perl)
  await waitFor('a program at port 80', async () => / 00000000:0050 /.test(await must('cat', '/proc/net/tcp')))
  await refused(/Port 80 is taken by another program/)
  await must('systemctl', 'stop', 'squatter')

  for (const [kind, sentence] of [
    ['podman', /is Podman, and Sluice needs Docker/],
    ['snap', /Docker is a snap on this machine/],
  ] as const) {
    await must('systemd-run', `--unit=${kind}`, join(site.release, 'bin/node'), '-e', engines[kind])
    await waitFor(`${kind} to listen`, async () => (await run('test', '-S', '/run/docker.sock')).code === 0)
    await refused(sentence)
    await must('systemctl', 'stop', kind)
    await must('rm', '-f', '/run/docker.sock')
  }

  await must('systemctl', 'mask', 'docker.service')
  await refused(/docker\.service is masked/)
  await must('systemctl', 'unmask', 'docker.service')
})

/** What they say of themselves, as far as it tells them from Docker. */
const engine = (said: object) =>
  `require('http').createServer((_, res) => res.end(${JSON.stringify(JSON.stringify(said))})).listen('/run/docker.sock')`
const engines = {
  podman: engine({ Components: [{ Name: 'Podman Engine' }], DockerRootDir: '/var/lib/containers/storage' }),
  snap: engine({ Components: [{ Name: 'Engine' }], DockerRootDir: '/var/snap/docker/common/var-lib-docker' }),
}

test('where packages come by rpm-ostree it waits for its turn too, and they have the names of Fedora', async () => {
  await site.machine.write('/usr/local/bin/rpm-ostree', rpmOstree, 0o755)
  await must('mv', '/usr/bin/apt-get', '/root/')
  await refused(/waiting for it to finish\n[\s\S]*rpm-ostree could not install: git /)
  assert.match(
    await site.machine.read('/root/layered'),
    /^(install .*--apply-live git-core zstd nftables iptables moby-engine ca-certificates\n){2}$/,
  )
  await must('mv', '/root/apt-get', '/usr/bin/')
})

/** Busy the first time, and failing then. */
const rpmOstree = `#!/bin/sh
echo "$@" >>/root/layered
[ $(wc -l </root/layered) -gt 1 ] || echo 'error: Transaction in progress: upgrade'
exit 1
`

test('with the mirror away it says so, and leaves nothing half done', async () => {
  await shell(
    `mv /etc/apt/sources.list.d /root/; echo 'deb http://127.0.0.1:9/debian bookworm main' >/etc/apt/sources.list`,
  )
  await refused(/127\.0\.0\.1[\s\S]*These packages could not be installed: git .*see to the network and the sources/)
  await shell('rm /etc/apt/sources.list; mv /root/sources.list.d /etc/apt/')
})

test('while others install it waits and says so; what would have to go for its packages stays', async () => {
  const archive = '/root/podman-docker.deb'
  await site.machine.write('/root/package/DEBIAN/control', control)
  await site.machine.write(
    '/root/package/DEBIAN/postinst',
    '#!/bin/sh\nwhile [ -e /run/held ]; do sleep 0.1; done\n',
    0o755,
  )
  await shell(`dpkg-deb --build /root/package ${archive}; touch /run/held`)
  const other = site.machine.run(['dpkg', '-i', archive], { timeout: LONG })
  await waitFor('another installation', async () => (await run('pgrep', '-f', 'podman-docker.postinst')).code === 0)
  await site.machine.write('/root/stalling.list', `deb [trusted=yes] ${site.stalling.url} ./\n`)
  const update = [
    ...['Dir::Etc::SourceList=/root/stalling.list', 'Dir::Etc::SourceParts=-', 'Acquire::Retries=0'],
    // without it apt gives a mirror up that has not answered for half a minute
    `Acquire::http::Timeout=${LONG / 1000}`,
  ]
  const updating = site.machine.run(['apt-get', ...update.flatMap((option) => ['-o', option]), 'update'], {
    timeout: LONG,
  })
  await waitFor('another update', () => site.stalling.waited())

  const waiting = install('--yes')
  const waits = (times: number) =>
    waitFor(`the installer to wait for ${times}`, () => waiting.sofar().split('waiting for it').length > times, {
      within: LONG / 2,
    })
  await waits(1)
  site.stalling.end()
  await updating
  await waits(2)
  await must('rm', '/run/held')
  output(await other)
  await refused(/stand in the way of git .*: podman-docker\. .*Nothing was installed or removed/, waiting)
  assert.match(await must('dpkg', '-s', 'podman-docker'), /install ok installed/)
  await must('dpkg', '--remove', 'podman-docker')
})

const control = `Package: podman-docker
Version: 4.3.1
Architecture: all
Maintainer: nobody
Conflicts: docker.io
Description: stands where Docker would
`

test('one command makes a platform of it: packages, engine, images, units; what somebody has set stays', async () => {
  const options = `DOCKER_OPTS="--registry-mirror=${site.hub.url}"\n`
  await site.machine.write('/etc/default/docker', options)
  const told = output(await install(...FIRST))
  assert.match(
    told,
    /Sluice 0\.1\.0 runs\. API and git: https:\/\/api\.example\.com; apps: http:\/\/APP\.apps\.example\.com/,
  )
  assert.is(await site.machine.read('/etc/default/docker'), options)
  for (const unit of ['docker', 'sluiced', 'sluice-router', 'sluice-http.socket', 'sluice-https.socket'])
    assert.equal([await shown(unit, 'ActiveState'), await shown(unit, 'UnitFileState')], ['active', 'enabled'], unit)
  assert.is(await shown('docker-registry', 'ActiveState'), 'inactive')
  assert.is((await must('docker', 'info', '-f', '{{.LiveRestoreEnabled}}')).trim(), 'true')
})

test('the operator finds it well', async () => {
  output(await run('sluice', 'status'))
  const { findings } = JSON.parse((await run('sluice', 'doctor', '--json')).stdout) as {
    findings: { check: string; state: string; text: string }[]
  }
  // the names lead nowhere, and nobody has asked for backups; clock, memory, disk and haste are those of the machine below
  const others = ['DNS', 'backups', 'clock', 'memory', 'disk']
  const below = /are free where|could not be looked at within/
  const ill = findings.filter(
    ({ state, check, text }) => state !== 'ok' && !others.includes(check) && !below.test(text),
  )
  assert.equal(ill, [])
})

const inShop = (line: string) =>
  site.machine.run(['sh', '-ec', `cd /root/shop; eval "$(sluice env)"; ${line}`], { timeout: LONG })

test('an app is created, pushed by git and served', async () => {
  await shell("echo '127.0.0.1 api.example.com' >>/etc/hosts")
  for (const [name, text] of Object.entries(sampleFiles())) await site.machine.write(`/root/shop/${name}`, text)
  const commit = 'git -c user.name=Test -c user.email=test@example.com commit --quiet --message first'
  output(await inShop(`git init --quiet --initial-branch main; git add --all; ${commit}; sluice create shop`))
  output(await inShop('git push "$(git remote)" main'))
  assert.match((await site.request('shop')).body, /^v1/)
})

test('a second time changes nothing', async () => {
  const pids = () => Promise.all(['docker', 'sluiced', 'sluice-router'].map((unit) => shown(unit, 'MainPID')))
  const before = await pids()
  assert.match(output(await install(...FIRST)), /There is nothing to do/)
  assert.equal(await pids(), before)
})

const UNITS = ['sluiced.service', 'sluice-router.service', 'sluice-http.socket', 'sluice-https.socket']

test('of the units this older systemd passes over one line, and bounds them as well', async () => {
  const { output } = await run('systemd-analyze', 'verify', ...UNITS)
  assert.match(output, /^(\/\S+\/sluiced\.service:\d+: Unknown key (name )?'OpenFile' in section .*, ignoring\.\n?)+$/)
  for (const [unit, bound] of Object.entries({ 'sluiced.service': 3.2, 'sluice-router.service': 1.5 })) {
    const { stdout } = await run('systemd-analyze', 'security', '--no-pager', unit)
    const [, found] = /exposure level for \S+: ([\d.]+)/.exec(stdout) ?? []
    assert.ok(Number(found) <= bound, `${unit}: ${found}`)
  }
})

/** Every request must be answered rightly while this is done. */
async function underLoad(work: () => Promise<unknown>): Promise<void> {
  const load = startLoad(site.http, 'shop.apps.example.com')
  await waitFor('requests', () => load.sent() > 10)
  const result = await work().then(load.stop, async (error: unknown) => {
    await load.stop()
    throw error
  })
  assert.is(result.failures.length, 0, describe(result))
}
/** One that hangs has a minute to end by itself. */
const another = (unit: string, before: string) =>
  waitFor(
    `another ${unit}`,
    async () => {
      const [pid, state] = [await shown(unit, 'MainPID'), await shown(unit, 'ActiveState')]
      return pid !== '0' && pid !== before && state === 'active'
    },
    { within: LONG / 2 },
  )

test('daemon and router tell it by a command of its own that they are ready, and no request fails while they are restarted', async () => {
  output(await inShop('sluice config:set SECRET=sealed'))
  await underLoad(async () => {
    await must('systemctl', 'restart', 'sluiced')
    assert.match(await shown('sluiced', 'StatusText'), /^Serving the API/)
    const before = await shown('sluice-router', 'MainPID')
    await must('systemctl', 'reload', 'sluice-router')
    await another('sluice-router', before)
    await must('systemctl', 'restart', 'sluice-router')
  })
  // by the key that it hands in
  assert.is(output(await inShop('sluice config:get SECRET')), 'sealed\n')
  assert.is((await run('ls', '/var/lib/sluice/seal.key')).code, 2)
})

test('a daemon that hangs is killed and started again', async () => {
  await site.machine.write('/etc/systemd/system/sluiced.service.d/watched.conf', '[Service]\nWatchdogSec=5\n')
  await must('systemctl', 'daemon-reload')
  await must('systemctl', 'restart', 'sluiced')
  const stuck = await shown('sluiced', 'MainPID')
  await underLoad(async () => {
    await must('systemctl', 'kill', '--signal=STOP', '--kill-who=main', 'sluiced')
    await another('sluiced', stuck)
  })
  assert.match(await site.machine.journal('sluiced'), /Watchdog timeout \(limit 5s\)/)
})

test('a power cut ends all of it, and all of it comes back', async () => {
  await site.machine.down('at once')
  await site.machine.up()
  await waitFor('the app to be back', async () => /^v1/.test((await site.request('shop')).body), { within: LONG / 2 })
})

test('a removal leaves data, settings and packages, and nothing in the engine', async () => {
  const removed = output(await run('bash', '/opt/sluice/current/install.sh', '--remove', '--yes'))
  assert.match(removed, /Left are its data, \/var\/lib\/sluice.*\n.*\n.*docker\.io, \.\.\.\) stay/)
  const left = await run(
    'sh',
    '-c',
    'ls -d /opt/sluice /etc/systemd/system/sluice*.socket /usr/local/bin/sluice; nft list tables; docker ps -aq',
  )
  assert.not.match(left.stdout, /sluice/)
  assert.is((await must('docker', 'ps', '-aq')).trim(), '')
  assert.match(await must('docker', 'network', 'ls', '--format', '{{.Name}}'), /^bridge\nhost\nnone\n$/)
  assert.match(await must('ls', '/var/lib/sluice'), /sluice\.db/)
  assert.is(await shown('docker', 'ActiveState'), 'active')
})

test.run()
