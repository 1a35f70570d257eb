import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { hostEnvironment } from '../config.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { type Reach, ruleset, tableOf } from './reach.ts'

/** What keeps dynos and builds from what they must not reach. It stays when the daemon ends. */
export interface Firewall {
  readonly state: 'up' | 'down' | 'unwanted'
  /** Looks no longer whether it is there. */
  close(): void
}

interface Options {
  installation: string
  /** Undefined: the operator wants none. */
  reach: Reach | undefined
  log: Log
  /** ms between two looks. */
  every?: number
  program?: string
}

/**
 * Puts the firewall up and, because others may clear the machine's rules (`nft flush ruleset`), again whenever it is gone. Where it
 * cannot be put up, that is told once, tried again, and apps run without it. Without `reach` it is taken away.
 */
export async function raiseFirewall({
  installation,
  reach,
  log,
  every = limits.firewallEvery,
  program = 'nft',
}: Options): Promise<Firewall> {
  if (!reach) {
    await lowerFirewall(installation).catch((error) => log.warn('the firewall cannot be removed', { error }))
    return { state: 'unwanted', close() {} }
  }
  const rules = ruleset(installation, reach)
  let up: boolean | undefined
  const raise = async (): Promise<void> => {
    try {
      await nft(['-f', '-'], { input: rules, program })
      if (up === false) log.info('the firewall is up now')
      up = true
    } catch (error) {
      if (up !== false) log.warn('no firewall', { reason: messageOf(error), advice: ADVICE })
      up = false
    }
  }
  await raise()
  let looking = false
  let closed = false
  const look = async (): Promise<void> => {
    // whoever has closed it may take it away while this one looks
    if ((up && (await isUp(installation))) || closed) return
    if (up) log.warn('the firewall was gone; it is put up again')
    await raise()
  }
  const timer = setInterval(() => {
    if (looking) return
    looking = true
    look().finally(() => {
      looking = false
    })
  }, every)
  return {
    get state() {
      return up ? 'up' : 'down'
    },
    close() {
      closed = true
      clearInterval(timer)
    },
  }
}

const ADVICE =
  'Apps and builds reach the ports of this machine and the metadata address of its cloud. Install nftables and run the daemon as root or with CAP_NET_ADMIN, or accept it with SLUICE_FIREWALL=off.'

/** Removes it, and nothing of anybody else's. A missing one is success. */
export async function lowerFirewall(installation: string): Promise<void> {
  if (await isUp(installation)) await nft(['delete', 'table', 'inet', tableOf(installation)])
}

const isUp = (installation: string): Promise<boolean> =>
  nft(['list', 'table', 'inet', tableOf(installation)]).then(
    () => true,
    () => false,
  )

/** Debian has it where only root looks. */
const PATH = '/usr/sbin:/sbin'

async function nft(args: string[], { input = '', program = 'nft' } = {}): Promise<void> {
  const env = hostEnvironment()
  const child = spawn(program, args, {
    env: { ...env, PATH: `${env.PATH}:${PATH}` },
    stdio: ['pipe', 'ignore', 'pipe'],
    timeout: limits.firewallTime,
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
  if (code !== 0) throw new Error(`nft ended with ${code}: ${said.trim().slice(0, 500)}`)
}
