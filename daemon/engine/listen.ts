import { readFile } from 'node:fs/promises'
import { type Connection, unlessMissing } from './connection.ts'
import type { Listener } from './engine.ts'

/** As the kernel shows it to this host; a container that does not run, or is of another host, listens nowhere. */
export async function listenersOf(engine: Connection, name: string): Promise<Listener[]> {
  const look = engine.ask('look up a container', (docker) => docker.getContainer(name).inspect())
  const pid = (await unlessMissing(look, null))?.State.Pid
  if (!pid) return []
  const tables = ['tcp', 'tcp6'].map((table) => readFile(`/proc/${pid}/net/${table}`, 'utf8').catch(() => ''))
  return (await Promise.all(tables)).flatMap(listenersIn)
}

/** Reads a table such as /proc/net/tcp (https://docs.kernel.org/networking/proc_net_tcp.html), without the engine's own name server. */
export function listenersIn(table: string): Listener[] {
  return [...table.matchAll(/^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A /gm)].flatMap(([, address = '', port = '']) =>
    address === NAME_SERVER ? [] : [{ port: Number.parseInt(port, 16), local: LOOPBACK.test(address) }],
  )
}

/** Words of the address are in the order of this machine's bytes: 127.0.0.11; 127.*, ::1, ::ffff:127.*. */
const NAME_SERVER = '0B00007F'
const LOOPBACK = /^(|0{16}FFFF0000).{6}7F$|^0{24}01000000$/
