import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { EngineError } from './engine.ts'

/**
 * Processes of a container that the engine holds for never started. One (20.10) that is killed between the start of a process and its record of it
 * knows nothing of either afterwards: it removes the container, gives the address away again, and the process goes on in its network, with that address.
 */

/** From SIGKILL until they must be gone, ms; a network and a volume are theirs until then. */
const KILLED = 5000
const LOOK_AGAIN = 10

/** Ends whatever runs in the control group of a container, and the shim above it. `container` is its whole id. Resolves when none is left. */
export async function endGhosts(container: string): Promise<void> {
  for (const deadline = Date.now() + KILLED; ; await pause(LOOK_AGAIN)) {
    const { inside, shims } = await ghostsOf(container)
    for (const pid of inside) signal(pid, 'SIGKILL')
    if (inside.length === 0) for (const pid of shims) signal(pid, 'SIGTERM')
    if (inside.length === 0 && shims.length === 0) return
    if (Date.now() > deadline)
      throw new EngineError(
        `Processes of the container ${container.slice(0, 12)} did not end although they were killed.`,
      )
  }
}

/** As the kernel shows them to this host. */
async function ghostsOf(container: string): Promise<{ inside: number[]; shims: number[] }> {
  const found = { inside: [] as number[], shims: [] as number[] }
  for (const pid of (await readdir('/proc')).map(Number).filter(Boolean)) {
    const groups = await read(pid, 'cgroup')
    if (groups.includes(container)) found.inside.push(pid)
    else if (isShimOf(container, await read(pid, 'cmdline'))) found.shims.push(pid)
  }
  return found
}

/** `containerd-shim-runc-v2 -namespace moby -id <container> …` */
const isShimOf = (container: string, line: string): boolean =>
  /^\S*containerd-shim/.test(line) && line.split('\0').includes(container)

/** Nothing of a process that has just ended. */
const read = (pid: number, file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')

function signal(pid: number, name: 'SIGKILL' | 'SIGTERM'): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ESRCH') return
    throw new EngineError(
      `The process ${pid} of a container must be ended: ${code}. Run Sluice as root, or with CAP_KILL.`,
    )
  }
}
