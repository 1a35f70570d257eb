import { spawn } from 'node:child_process'

/** Runs a command as root in mount and pid namespaces of its own, which die with this process whatever kills it. Rejects unless it exits with 0. */
export const isolated = (command: string[]): Promise<void> =>
  run([
    'setpriv',
    '--pdeathsig',
    'KILL',
    'unshare',
    '--mount',
    '--propagation',
    'private',
    '--pid',
    '--fork',
    '--kill-child',
    ...command,
  ]).then((code) => {
    if (code !== 0)
      throw new Error(
        'The Debian stack could not be made; the reason is above. Check the network and the disk, then run this again.',
      )
  })

/** Runs a command with this process's output and returns its exit status. */
export function run([file = '', ...args]: string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit'] })
      .on('error', reject)
      .on('exit', resolve)
  })
}
