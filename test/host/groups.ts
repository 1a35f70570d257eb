import { run } from '../e2e/command.ts'

/** Control groups of machines (v2), by the machines' names. A machine that was killed leaves its own. */
export async function groupsLeft(): Promise<string[]> {
  const { stdout } = await inGroups('ls')
  return stdout.split('\n').filter((name) => name.startsWith('sluice-host-'))
}

/** Removes those of a machine that has ended; missing ones are no fault. */
export async function removeGroups(name: string): Promise<void> {
  await inGroups(`[ ! -e ${name} ] || find ${name} -depth -type d -delete`)
}

/** Where this machine has them differs, so they are mounted for the one command. */
export const inGroups = (command: string) =>
  run(['unshare', '--mount', 'sh', '-c', `mount -t cgroup2 cgroup2 /mnt && cd /mnt && ${command}`], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  })
