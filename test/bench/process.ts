import { readdir, readFile } from 'node:fs/promises'

/** What a process has used, and has open, by now. */
export interface Used {
  /** Seconds of processor time, its children that have ended among it. */
  cpu: number
  /** Resident memory, MB. */
  memory: number
  files: number
}

const TICKS = 100

/** proc(5): utime, stime, cutime and cstime are in ticks of 10 ms. */
export async function usedBy(pid: number): Promise<Used> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  const ticks = fields.slice(11, 15).reduce((sum, some) => sum + some, 0)
  const files = (await readdir(`/proc/${pid}/fd`)).length
  return { cpu: ticks / TICKS, memory: ((fields[21] ?? 0) * 4096) / 1024 ** 2, files }
}

/** The engine's, when it runs on this machine. */
export const enginePid = async (): Promise<number | undefined> =>
  Number(await readFile('/var/run/docker.pid', 'utf8').catch(() => '')) || undefined
