import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { run } from '../../daemon/build/command.ts'
import { type Firewall, lowerFirewall, raiseFirewall } from '../../daemon/engine/firewall.ts'
import { type Destination, type Reach, tableOf } from '../../daemon/engine/reach.ts'
import { createLog } from '../../daemon/log.ts'
import { call } from '../e2e/engine.ts'
import { waitFor } from '../e2e/wait.ts'
import { contextOf, read } from '../engine/contract-images.ts'
import { bash, createDockerRig } from '../engine/docker-rig.ts'
import { appOf, never, outputOf, printed, textOf } from '../engine/rig.ts'
import { type FarHost, startFarHost } from './far-host.ts'

/** What dynos and builds reach, tried out against an address of the link and one of a private network, both of a machine behind this one. */
const rig = await createDockerRig(7)
const engine = rig.engine()
const LINK = '169.254.77'
const PRIVATE = '10.106.77'
const GATEWAY = '10.102.7.1'
const open: Server[] = []
let far: FarHost
let own: number
let router: number
let firewall: Firewall | undefined
const logged: string[] = []

test.before(async () => {
  far = await startFarHost(`far-${process.pid}`, [LINK, PRIVATE], [53, 80, 5432])
  own = await listen()
  router = await listen()
})
test.after(async () => {
  firewall?.close()
  for (const server of open) server.close()
  await far.close()
  await rig.close()
})

const listen = async (): Promise<number> => {
  const server = createServer((socket) => socket.on('error', () => {}).end()).listen(0, '0.0.0.0')
  open.push(server)
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

const REACH: Reach = { pool: '10.102.7.0/24', routerPorts: [8080], allow: [], deny: [] }

async function raise(more: Partial<Reach> = {}, every?: number): Promise<void> {
  firewall?.close()
  const reach: Reach = { ...REACH, routerPorts: [router], ...more }
  const log = createLog((line) => logged.push(line))
  firewall = await raiseFirewall({ installation: rig.installation, reach, log, ...(every ? { every } : {}) })
}

/** Prints those that take a connection. */
const CONNECT =
  'for (@ARGV) { my ($h, $p) = split /:/; eval { local $SIG{ALRM} = sub { die }; alarm 3; socket(S, 2, 1, 6); connect(S, pack("Sna4x8", 2, $p, pack("C4", split(/\\./, $h)))) and print "$_\\n"; alarm 0 }; close(S) }'
/** Prints `in` each time that it gets a connection, of fifty attempts a second. */
const INSIST =
  '$| = 1; print "begun\\n"; my ($h, $p) = split /:/, $ARGV[0]; while (1) { socket(S, 2, 1, 6); fcntl(S, 4, 2048); connect(S, pack("Sna4x8", 2, $p, pack("C4", split(/\\./, $h)))); my $w = ""; vec($w, fileno(S), 1) = 1; select(undef, $w, undef, 0.02) and unpack("i", getsockopt(S, 1, 4)) == 0 and print "in\\n"; close(S); select(undef, undef, undef, 0.01) }'
const attempts = (targets: string[]): string => `perl -e '${CONNECT}' ${targets.join(' ')}`

/** Those of the targets that a build, a step of a Dockerfile, or a dyno, connects to. */
async function reached(targets: string[], as: 'dyno' | 'build' | 'step' = 'dyno'): Promise<string[]> {
  const { id, spec, build, imageBuild } = appOf(rig)
  const connected = attempts(targets)
  if (as === 'step') {
    // it fails, so that nothing is left of it
    const step = JSON.stringify(bash(`${connected}; exit 1`))
    const dockerfile = `FROM ${rig.image}\nLABEL sluice.test.of=${rig.installation}\nRUN ${step}\n`
    const building = await engine.images.build(imageBuild(), contextOf(dockerfile), never)
    const lines = (await read(building)).split('\n')
    return targets.filter((target) => lines.includes(target))
  }
  if (as === 'build') {
    const process = await engine.build(build(bash(connected)), never)
    let text = ''
    for await (const chunk of process.output) text += chunk.toString()
    await process.exit
    return text.split('\n').filter(Boolean)
  }
  const dyno = spec(connected)
  await engine.start(dyno)
  const text = textOf(await outputOf(engine, dyno.id))
  await engine.stop(dyno.id, 0)
  await engine.removeApp(id)
  return text.split('\n').filter(Boolean)
}

const metadata = `${LINK}.2:80`
const database = `${PRIVATE}.2:5432`

test('without a firewall all of these are reached, so that their silence means something', async () => {
  const targets = [metadata, database, `${GATEWAY}:${own}`, `${GATEWAY}:${router}`]
  assert.equal(await reached(targets), targets)
})

for (const as of ['dyno', 'build', 'step'] as const)
  test(`a ${as} reaches private networks, name servers and the router, not the link, nor another port of this machine`, async () => {
    await raise()
    // By an address that is not of its network: a build has no gateway in 10.102.7.0/24.
    const machine = `${PRIVATE}.1`
    const closed = [metadata, `${machine}:${own}`, `${LINK}.1:${own}`]
    const wanted = [database, `${LINK}.2:53`, `${machine}:${router}`]
    assert.equal(await reached([...closed, ...wanted], as), wanted)
  })

test('the operator opens and closes further places', async () => {
  const at = (network: string, port?: number): Destination => (port === undefined ? { network } : { network, port })
  const machine = `${PRIVATE}.1`
  await raise({ allow: [at(`${PRIVATE}.2`, 5432), at(`${LINK}.2`), at(machine, own)], deny: [at('10.106.0.0/16')] })
  const wanted = [metadata, database, `${PRIVATE}.2:53`, `${machine}:${own}`]
  assert.equal(await reached([...wanted, `${PRIVATE}.2:80`]), wanted)
})

test('neither dynos nor builds have IPv6, which leads around the rules', async () => {
  await raise()
  const process = await engine.build(
    appOf(rig).build(
      bash('while read -r line; do [[ $line == *" lo" ]] || echo "$line"; done < /proc/net/if_inet6; echo end'),
    ),
    never,
  )
  let text = ''
  for await (const chunk of process.output) text += chunk.toString()
  assert.is(text, 'end\n')
})

test('apps do not reach one another while networks come and go, and no build reaches an app', async () => {
  await raise()
  const one = appOf(rig)
  const other = appOf(rig)
  const server = one.spec(
    `exec perl -e 'socket(S,2,1,6); bind(S,pack("Sna4x8",2,5000,"\\0"x4)) or die; listen(S,99); $|=1; print "ready\\n"; while(accept(C,S)){close(C)}'`,
  )
  const { address } = await engine.start(server)
  await printed(engine, server.id, 'ready')
  const to = `${address}:5000`
  const neighbour = one.spec(attempts([to]))
  await engine.start(neighbour)
  assert.is(textOf(await outputOf(engine, neighbour.id)), `${to}\n`)
  for (const as of ['build', 'step'] as const) assert.equal(await reached([to], as), [], as)
  const network = { name: `${rig.network.name}-other`, subnet: '10.102.7.64/26' }
  const stranger = other.spec(`exec perl -e '${INSIST}' ${to}`, { network })
  await engine.start(stranger)
  await printed(engine, stranger.id, 'begun')
  for (let n = 0; n < 8; n++) {
    const { Id } = await call<{ Id: string }>('POST', '/networks/create', {
      Name: `${rig.network.name}-passing`,
      Labels: { 'sluice.installation': rig.installation },
    })
    await call('DELETE', `/networks/${Id}`)
  }
  const output = outputOf(engine, stranger.id)
  await engine.stop(stranger.id, 0)
  assert.is(textOf(await output), 'begun\n')
  await engine.removeApp(one.id)
  await engine.removeApp(other.id)
})

test('it is put up again when somebody clears it, and taken away without a trace', async () => {
  const tables = async () => (await run('nft', ['list', 'tables'])).split('\n')
  const isUp = async () => (await tables()).includes(`table inet ${tableOf(rig.installation)}`)
  await raise({}, 20)
  assert.ok(await isUp())
  await lowerFirewall(rig.installation)
  await waitFor('the firewall to be there again', isUp)
  assert.match(logged.join(''), 'the firewall was gone')
  firewall?.close()
  firewall = await raiseFirewall({ installation: rig.installation, reach: undefined, log: createLog(() => {}) })
  assert.not(await isUp())
})

test('where it cannot be put up, the log says what that means and how to accept it', async () => {
  for (const wrong of [{ program: 'no-such-nft' }, { reach: { ...REACH, pool: 'nowhere' } }]) {
    const said: string[] = []
    const log = createLog((line) => said.push(line))
    const other = await raiseFirewall({ installation: 'other-one', reach: REACH, log, every: 5, ...wrong })
    await new Promise((resolve) => setTimeout(resolve, 100))
    other.close()
    assert.is(said.length, 1, 'once, however often it is tried')
    assert.match(said[0] ?? '', /"event":"no firewall".*SLUICE_FIREWALL=off/)
  }
})

test.run()
