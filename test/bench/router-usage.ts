import { readdir, readFile } from 'node:fs/promises'

/** What a proxy, all of its processes together, has used so far. */
export interface Usage {
  /** Seconds of processor time. */
  cpu: number
  /** Resident memory, MB; pages that its processes share count once each. */
  memory: number
}

const TICKS = 100

/** Of a process and all that it has started (proc(5): utime and stime of /proc/PID/stat, in ticks of 10 ms). */
export async function usageOf(root: number): Promise<Usage> {
  const usage = { cpu: 0, memory: 0 }
  for (const pid of await treeOf(root)) {
    const stat = await statOf(pid)
    if (stat === undefined) continue
    usage.cpu += (Number(stat[11]) + Number(stat[12])) / TICKS
    usage.memory += (Number(stat[21]) * 4096) / 1024 ** 2
  }
  return usage
}

async function treeOf(root: number): Promise<number[]> {
  const children = new Map<number, number[]>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const parent = Number((await statOf(Number(name)))?.[1])
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const tree = [root]
  for (const pid of tree) tree.push(...(children.get(pid) ?? []))
  return tree
}

/** The fields behind the name, which may hold blanks; undefined when the process has ended. */
async function statOf(pid: number): Promise<string[] | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return text === '' ? undefined : text.slice(text.lastIndexOf(')') + 2).split(' ')
}
