import { type ChildProcess, execFile, type StdioOptions, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ask } from '../api.ts'
import { guarded } from '../guard.ts'
import { action } from '../output.ts'
import { platform } from '../platform.ts'
import { Failure } from '../settings.ts'
import { bridgeTo } from './bridge.ts'
import { at } from './command.ts'

/*
 * A way into a dyno that runs. A key is made for it and is good for this dyno and some minutes; the platform shows its own in return. SSH is
 * spoken by the ssh of this machine, through the port by which the API is reached: nothing else need be open, where the official CLI wants
 * port 80 of an address of its own.
 */

/** Starts ssh with further arguments; what comes behind the host's name is a command in the dyno. */
export type Ssh = (args: string[], command: string[], stdio: StdioOptions) => ChildProcess

interface Admitted {
  /** Absent where the platform knows no upgrade. */
  tunnel_url?: string
  client_user: string
  proxy_public_key: string
}

/** Has something done with a way into a dyno, which ends with it. */
export async function withSsh<Result>(app: string, dyno: string, work: (ssh: Ssh) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-ssh-'))
  const [key, hosts] = [join(folder, 'key'), join(folder, 'hosts')]
  return guarded(
    () => rmSync(folder, { recursive: true, force: true }),
    async () => {
      const admitted = await action('Establishing credentials', async () => {
        const body = { client_key: await makeKey(key), upgrade: true }
        const admitted = await askExec<Admitted>(app, 'PUT', at('api', 'v2', dyno), body)
        if (admitted.tunnel_url === undefined)
          throw new Failure('The platform is older than this command and lets nobody in this way. Use heroku ps:exec.')
        return { ...admitted, url: new URL(admitted.tunnel_url) }
      })
      await writeFile(hosts, `${HOST} ${admitted.proxy_public_key}\n`)
      const bridge = await action(`Connecting to ${dyno} on ${app}`, async (tell) => {
        const bridge = await bridgeTo(admitted.url)
        tell('up')
        return bridge
      })
      const options = [...OPTIONS, `UserKnownHostsFile=${hosts}`].flatMap((option) => ['-o', option])
      const way = ['-F', 'none', '-i', key, '-l', admitted.client_user, '-p', String(bridge.port), ...options]
      try {
        return await work((args, command, stdio) =>
          // what ssh runs on this machine is ours, whatever the user's shell is
          spawn('ssh', [...way, ...args, '127.0.0.1', ...(command.length > 0 ? ['--', ...command] : [])], {
            stdio,
            env: { ...process.env, SHELL: '/bin/sh' },
          }),
        )
      } finally {
        bridge.close()
      }
    },
  )
}

/** What the platform's key is known by. */
const HOST = 'sluice-dyno'
const OPTIONS = [
  ...['BatchMode=yes', 'IdentitiesOnly=yes', 'IdentityAgent=none', 'PasswordAuthentication=no'],
  ...['StrictHostKeyChecking=yes', `HostKeyAlias=${HOST}`, 'GlobalKnownHostsFile=/dev/null', 'UpdateHostKeys=no'],
  ...['ServerAliveInterval=10', 'ServerAliveCountMax=3', 'ExitOnForwardFailure=yes', 'LogLevel=ERROR'],
]

/** A question about ways into dynos: the app is in the place of a user's name. */
export async function askExec<Answer>(app: string, method: string, path: string, body?: object): Promise<Answer> {
  const { token } = await platform()
  const authorization = `Basic ${Buffer.from(`${app}:${token}`).toString('base64')}`
  return ask<Answer>(method, path, { ...(body ? { body } : {}), headers: { authorization } })
}

/** The public half; the other is in the file. */
async function makeKey(file: string): Promise<string> {
  const args = ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file]
  await promisify(execFile)('ssh-keygen', args).catch((error: NodeJS.ErrnoException) => {
    throw new Failure(error.code === 'ENOENT' ? NO_SSH : `No key could be made: ${error.message}`)
  })
  return (await readFile(`${file}.pub`, 'utf8')).trim()
}

const NO_SSH = 'ssh and ssh-keygen are needed to get into a dyno. Install OpenSSH, then try again.'
