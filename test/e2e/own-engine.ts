import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { resolveStacks } from '../../buildpacks/stack.ts'
import { connect } from '../../daemon/engine/connection.ts'
import { inspectImage, loadImages, saveImages, tagImage } from '../../daemon/engine/image.ts'
import { call, socketPath } from './engine.ts'
import { enterMachine, type Machine } from './own-machine.ts'
import { waitFor } from './wait.ts'

/** The engine of a machine of the file's own, which a test may kill at any moment. */
export interface OwnEngine {
  /** Resolves when it answers. */
  start(): Promise<void>
  /** SIGKILL. Resolves when it is gone; containers run on. */
  kill(): Promise<void>
  /** Whether it answers. */
  answers(): Promise<boolean>
  /** Processes in control groups of containers, by the container's whole id. */
  processes(): Promise<Map<string, number[]>>
}

/** Moves the file into a machine of its own, starts an engine there and gives it the stack. To be awaited before the file makes anything. */
export async function openOwnEngine(): Promise<OwnEngine> {
  const machine = await enterMachine()
  const config = join(machine.folder, 'engine.json')
  // That of this machine's engine may say what options say here.
  await writeFile(config, '{}')
  let dockerd: ChildProcess | undefined
  const answers = () =>
    call('GET', '/version').then(
      () => true,
      () => false,
    )
  const engine: OwnEngine = {
    answers,
    processes: () => processesBelow(machine.controlGroup),
    async start() {
      for (const file of [pidFile(machine), containerdPidFile(machine)]) await rm(file, { force: true })
      const log = await open(join(machine.folder, 'engine.log'), 'a')
      const child = spawn('dockerd', options(machine, config), {
        env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
        stdio: ['ignore', log.fd, log.fd],
      })
      // it ends with the machine, not before the file can
      child.unref()
      dockerd = child
      await once(child, 'spawn')
      await log.close()
      await waitFor('the engine to answer', async () => {
        if (child.exitCode === null) return answers()
        throw new Error((await readFile(join(machine.folder, 'engine.log'), 'utf8')).slice(-2000))
      })
    },
    async kill() {
      const helper = Number(await readFile(containerdPidFile(machine), 'utf8'))
      // the file must not end while it waits for this alone
      dockerd?.ref()
      const ended = dockerd && once(dockerd, 'exit')
      dockerd?.kill('SIGKILL')
      await ended
      await waitFor('its containerd to end with it', () => !existsSync(`/proc/${helper}`), { every: 5 })
    },
  }
  await engine.start()
  await giveStack(machine.sharedEngine)
  return engine
}

async function processesBelow(group: string): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>()
  for (const pid of (await readdir('/proc')).map(Number).filter(Boolean)) {
    // one that has just ended has none
    const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
    const [, container] = groups.includes(group) ? (/([0-9a-f]{64})/.exec(groups) ?? []) : []
    if (container) found.set(container, [...(found.get(container) ?? []), pid])
  }
  return found
}

const pidFile = ({ folder }: Machine) => join(folder, 'engine.pid')
const executionOf = ({ folder }: Machine) => join(folder, 'engine')
const containerdPidFile = (machine: Machine) => join(executionOf(machine), 'containerd', 'containerd.pid')

/** Those of systemd/setup.sh, and what keeps it apart from others. */
const options = (machine: Machine, config: string): string[] => [
  '--live-restore',
  '--userland-proxy=false',
  `--host=unix://${socketPath}`,
  `--data-root=${join(machine.folder, 'containers')}`,
  `--exec-root=${executionOf(machine)}`,
  `--pidfile=${pidFile(machine)}`,
  `--config-file=${config}`,
  `--cgroup-parent=${machine.controlGroup}`,
  // no network but those of the platform, so that it is back the sooner
  '--bridge=none',
  '--exec-opt=native.cgroupdriver=cgroupfs',
]

/** The image that dynos run on stands in for that of builds, which is twice as large, and whose compilers the sample app does not need. */
async function giveStack(from: string): Promise<void> {
  const stack = (await resolveStacks(from)).get('heroku-24')
  if (!stack) throw new Error(`The engine at ${from} has no stack; systemd/setup.sh makes it.`)
  await loadImages(connect(socketPath), await saveImages(connect(from), [stack.run]))
  for (const half of [stack.run, stack.build])
    for (const name of (await inspectImage(from, half))?.tags ?? []) await tagImage(socketPath, stack.run, name)
}
