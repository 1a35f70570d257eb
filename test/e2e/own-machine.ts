import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { socketPath } from './engine.ts'
import { waitFor } from './wait.ts'

/**
 * A machine inside this one for one test file: with its own processes, mounts and network, which end with its first process, whatever ends the test. What is
 * left then is a folder and control groups, named after the process outside; that one removes them, or else the next such file.
 */
export interface Machine {
  /** For all that the file makes. */
  folder: string
  /** The engine that all files share, by its socket: nothing else of it can be reached from inside. */
  sharedEngine: string
  /** Below which its engine makes those of containers. */
  controlGroup: string
}

const [FOLDER, SHARED] = ['SLUICE_TEST_MACHINE', 'SLUICE_TEST_SHARED_ENGINE']
const PREFIX = 'sluice-machine-'

/** Bash takes the ends of processes that were left to the first one. Sockets of shims have a place that no option of an engine moves. */
const BOOT = `set -e
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
mkdir -p /run/containerd
mount -t tmpfs machine /run/containerd
"$@" &
wait $!`

/**
 * Has the file run inside: resolves there, and never outside, where this process waits for that one and ends as it did. `SLUICE_ENGINE` is then where the
 * machine's own engine is to listen (own-engine.ts). To be awaited before the file makes anything.
 */
export async function enterMachine(): Promise<Machine> {
  const { [FOLDER]: folder, [SHARED]: sharedEngine } = process.env
  if (folder !== undefined && sharedEngine !== undefined)
    return { folder, sharedEngine, controlGroup: `/${nameOf(folder)}` }
  process.exit(await runInside())
}

async function runInside(): Promise<number> {
  await sweep()
  const folder = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`))
  const own = { TMPDIR: folder, SLUICE_ENGINE: join(folder, 'engine.sock'), [FOLDER]: folder, [SHARED]: socketPath }
  const isolated = ['--mount', '--propagation', 'private', '--net', '--pid', '--fork', '--kill-child', '--mount-proc']
  const file = [process.execPath, ...process.execArgv, process.argv[1] ?? '']
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', 'unshare', ...isolated, 'bash', '-c', BOOT, 'machine', ...file],
    { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...own } },
  )
  const [code] = await once(child, 'exit')
  await remove(folder)
  return code ?? 1
}

const nameOf = (folder: string): string => folder.slice(folder.lastIndexOf(PREFIX))

/** Of files that were killed with their process outside. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir()))
    if (name.startsWith(PREFIX) && !existsSync(`/proc/${name.slice(PREFIX.length).split('-')[0]}`))
      await remove(join(tmpdir(), name))
}

async function remove(folder: string): Promise<void> {
  for (const group of await controlGroups(nameOf(folder)))
    await waitFor(`the control group ${group} to be empty`, () => removeGroup(group), { within: 10_000 })
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}

const HIERARCHIES = '/sys/fs/cgroup'

/** One in each hierarchy, or in the only one. */
async function controlGroups(name: string): Promise<string[]> {
  const hierarchies = [HIERARCHIES, ...(await readdir(HIERARCHIES)).map((one) => join(HIERARCHIES, one))]
  return hierarchies.map((one) => join(one, name)).filter((group) => existsSync(group))
}

/** With those below it, which hold no process when the machine has ended. Another file may be removing it as well. */
async function removeGroup(group: string): Promise<boolean> {
  try {
    const below = await readdir(group, { withFileTypes: true })
    for (const one of below) if (one.isDirectory()) await removeGroup(join(group, one.name))
    await rmdir(group)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return true
}
