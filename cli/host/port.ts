import { readdir, readFile, readlink } from 'node:fs/promises'
import type { Finding, Look } from '../finding.ts'
import type { Place } from './place.ts'

/** Who listens on the platform's ports: its own, nobody, or another program. */
export const portLooks = ({ api_port, http_port, tls_port }: Place): Look[] => [
  { check: 'ports', look: () => ports({ [api_port]: 'daemon', [http_port]: 'router', [tls_port]: 'router' }) },
]

type Part = 'daemon' | 'router'
const UNITS = { daemon: 'sluiced', router: 'sluice-router' } as const

async function ports(wanted: Record<number, Part>): Promise<Finding[]> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')))
  const sockets = tables.flatMap(listening)
  const holders = await holdersOf(new Set(sockets.filter(({ port }) => port in wanted).map(({ inode }) => inode)))
  return Object.entries(wanted).map(([port, part]) => {
    const mine = sockets.filter((one) => one.port === Number(port))
    return judged(Number(port), part, mine.length > 0, [
      ...new Set(mine.flatMap(({ inode }) => holders.get(inode) ?? [])),
    ])
  })
}

export interface Holder {
  pid: string
  name: string
  /** With its arguments, among which may be secrets. */
  command: string
}

/** Pure. */
export function judged(port: number, part: Part, taken: boolean, holders: readonly Holder[]): Finding {
  const check = 'ports'
  const what = `Port ${port} (${part})`
  if (!taken)
    return {
      ...{ check, state: 'fail', text: `${what}: nobody listens.` },
      remedy: `systemctl start ${UNITS[part]}, and see: journalctl -u ${UNITS[part]}`,
    }
  if (holders.length === 0)
    return {
      ...{ check, state: 'warn', text: `${what} is held by a process that you may not see.` },
      remedy: 'Run this as root.',
    }
  const other = holders.find(({ command }) => !isOurs(command, part))
  if (other === undefined) return { check, state: 'ok', text: `${what} is ours.` }
  return {
    ...{ check, state: 'fail', text: `${what} is held by another program: ${other.name} (process ${other.pid}).` },
    remedy: `Stop that, or have the ${part} use another port (${part === 'daemon' ? 'SLUICE_PORT' : 'SLUICE_HTTP_PORT, SLUICE_TLS_PORT'}).`,
  }
}

/** With socket units systemd has the sockets too. */
const isOurs = (command: string, part: Part): boolean =>
  command.includes(`/${part}/`) || /^\S*(systemd|init)( |$)/.test(command)

/** Sockets that listen, of /proc/net/tcp: https://docs.kernel.org/networking/proc_net_tcp.html */
export const listening = (table: string): { port: number; inode: string }[] =>
  table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
    return state === '0A' ? [{ port: Number.parseInt(local.split(':')[1] ?? '', 16), inode }] : []
  })

/** By inode of a socket: the processes that have it, as far as we may see them. */
async function holdersOf(inodes: ReadonlySet<string>): Promise<Map<string, Holder[]>> {
  const found = new Map<string, Holder[]>()
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  await Promise.all(
    pids.map(async (pid) => {
      const files = await readdir(`/proc/${pid}/fd`).catch(() => [])
      const links = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')))
      const held = new Set(
        links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []).filter((inode) => inodes.has(inode)),
      )
      if (held.size === 0) return
      const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
      const [command, name] = await Promise.all([read('cmdline'), read('comm')])
      const holder = { pid, name: name.trim(), command: command.replaceAll('\0', ' ').trim() }
      for (const inode of held) found.set(inode, [...(found.get(inode) ?? []), holder])
    }),
  )
  return found
}
