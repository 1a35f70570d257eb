import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2, { type ClientChannel, type ConnectConfig } from 'ssh2'
import { systemClock } from '../../daemon/clock.ts'
import { createLog } from '../../daemon/log.ts'
import { createExec } from '../../daemon/run/exec.ts'
import { readHostKey } from '../../daemon/run/ssh/host-key.ts'
import { createTunnel, type Tunnel } from '../../daemon/run/tunnel.ts'
import { run } from '../e2e/command.ts'
import { type Local, startLocally } from './local-process.ts'

/** ps:exec's tunnel, into this machine instead of a dyno, and the clients that come to it. */
export interface TunnelRig {
  address: string
  /** Where commands run, relative paths aside. */
  data: string
  /** Lines of the daemon's log. */
  logged: string[]
  opened: { dyno: string; command: string; env: string[]; process: Local }[]
  /** How much later it is than it is, in ms. */
  late: number
  make(address: string | undefined): Tunnel
  admit(more?: { dyno?: string; key?: string; permitted?: () => Promise<boolean> }): { user: string }
  /** ssh2, as the CLI uses it. */
  client(user: string, more?: ConnectConfig): Promise<ssh2.Client>
  /** Why a client is not let in. */
  refused(user: string, more?: ConnectConfig): Promise<string>
  /** A program of OpenSSH, with the key and the host key in files as `ps:exec --ssh` has them. */
  openssh(program: 'ssh' | 'scp', user: string, args: string[], input?: string): ReturnType<typeof run>
  close(): Promise<void>
}

/** As the CLI makes them. */
export const key = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 })

export async function startTunnel(): Promise<TunnelRig> {
  const address = `127.78.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}`
  const data = await mkdtemp(join(tmpdir(), 'sluice-tunnel-'))
  const hostKey = await readHostKey(join(data, 'ssh.key'))
  const files = { key: join(data, 'key'), hosts: join(data, 'hosts') }
  await writeFile(files.key, key.private, { mode: 0o600 })
  await writeFile(files.hosts, `${address} ${hostKey.public}\n`)
  const make = (at: string | undefined): Tunnel =>
    createTunnel({
      clock: { ...systemClock, now: () => Date.now() + rig.late },
      log: createLog((line) => rig.logged.push(line)),
      hostKey,
      address: at,
      exec: createExec({
        async exec({ id, command, env, terminal }) {
          const process = startLocally(command, terminal, { env, cwd: data })
          rig.opened.push({ dyno: id, command, env, process })
          return process
        },
      }),
    })
  const client: TunnelRig['client'] = async (username, more = {}) => {
    const made = new ssh2.Client()
    const wanted = Buffer.from(hostKey.public.split(' ')[1] ?? '', 'base64')
    made.connect({
      host: address,
      port: 80,
      username,
      privateKey: key.private,
      hostHash: 'sha256',
      hostVerifier: (hash: string) => createHash('sha256').update(wanted).digest('hex') === hash,
      ...more,
    })
    await once(made, 'ready')
    return made
  }
  const rig: TunnelRig = {
    address,
    data,
    logged: [],
    opened: [],
    late: 0,
    make,
    admit: ({ dyno = 'dyno-1', permitted = async () => true, key: given = key.public } = {}) =>
      tunnel.admit({ app: 'app', dyno: { id: dyno, name: 'web.1', address: '10.1.2.3' }, key: given, permitted }),
    client,
    refused: (user, more) =>
      client(user, more).then(
        () => 'let in',
        (error: Error) => error.message,
      ),
    openssh(program, user, args, input = '') {
      const options = ['-F/dev/null', `-oUserKnownHostsFile=${files.hosts}`, '-oBatchMode=yes', '-i', files.key]
      const target = program === 'ssh' ? ['-p80', `${user}@${address}`] : ['-P80']
      return run([program, ...options, ...target, ...args], { env: { PATH: process.env.PATH }, input, timeout: 30_000 })
    },
    async close() {
      tunnel.close()
      await rm(data, { recursive: true })
    },
  }
  const tunnel = make(address)
  await tunnel.listen()
  return rig
}

/** What ssh2 gives to a callback. */
export const asked = <Made>(start: (done: (error: Error | undefined, made: Made) => void) => void): Promise<Made> =>
  new Promise((resolve, reject) => start((error, made) => (error ? reject(error) : resolve(made))))

export async function all(channel: ClientChannel): Promise<{ text: string; code: number | undefined }> {
  let text = ''
  let code: number | undefined
  channel.on('data', (chunk: Buffer) => {
    text += chunk
  })
  channel.on('exit', (status: number) => {
    code = status
  })
  await once(channel, 'close')
  return { text, code }
}
