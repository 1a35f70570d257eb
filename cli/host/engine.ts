import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Finding, Look } from '../finding.ts'
import { clockOff } from './machine.ts'

/** The Docker engine, past the daemon: it does not start without one. */
export const engineLook = (socket: string): Look => ({ check: 'engine', look: (signal) => engine(socket, signal) })

/** Of `GET /info`: https://docs.docker.com/reference/api/engine/ */
export interface Info {
  ServerVersion: string
  Driver: string
  LiveRestoreEnabled?: boolean
  Swarm?: { LocalNodeState?: string }
  SecurityOptions?: string[] | null
  Warnings?: string[] | null
  SystemTime?: string
}

async function engine(socket: string, signal: AbortSignal): Promise<Finding[]> {
  const asked = Date.now()
  try {
    return judged(await ask(socket, signal), asked)
  } catch (error) {
    return [unanswered(socket, error as NodeJS.ErrnoException)]
  }
}

function unanswered(socket: string, error: NodeJS.ErrnoException): Finding {
  const check = 'engine'
  if (error.code === 'EACCES')
    return {
      ...{ check, state: 'warn', text: `You may not use ${socket}, so it was not looked at.` },
      remedy: 'Run this as root, or as a member of the group docker.',
    }
  const there = error.code === 'ENOENT' ? 'is not there' : `does not answer (${error.code ?? error.message})`
  return {
    ...{ check, state: 'fail', text: `The Docker engine at ${socket} ${there}.` },
    remedy: 'systemctl start docker, and see: journalctl -u docker. If it is elsewhere, set SLUICE_ENGINE.',
  }
}

/** Beyond it two clocks differ, ms. */
const SKEW = 5000

/** What matters of it to apps; `asked`, `answered`: when, ms. Pure. */
export function judged(info: Info, asked: number, answered = Date.now()): Finding[] {
  const check = 'engine'
  const [major = 0, minor = 0] = info.ServerVersion.split('.').map(Number)
  const found: Finding[] = []
  const warn = (text: string, remedy: string) => found.push({ check, state: 'warn', text, remedy })
  if (major < 20 || (major === 20 && minor < 10))
    warn(`Docker ${info.ServerVersion} is older than 20.10, with which Sluice is tested.`, 'Upgrade the engine.')
  else found.push({ check, state: 'ok', text: `Docker ${info.ServerVersion} with ${info.Driver}.` })
  if (info.Driver !== 'overlay2' && info.Driver !== 'overlayfs')
    warn(
      `It stores images with ${info.Driver}, which is slow or wastes disk.`,
      'Put its data on ext4 or xfs, and "storage-driver": "overlay2" into /etc/docker/daemon.json.',
    )
  if (info.LiveRestoreEnabled === false && info.Swarm?.LocalNodeState !== 'active')
    warn(
      'Dynos end whenever it is restarted.',
      'Put "live-restore": true into /etc/docker/daemon.json, then: systemctl reload docker',
    )
  if (!info.SecurityOptions?.some((option) => option.includes('name=seccomp')))
    warn('It does not filter system calls (seccomp).', 'Use a kernel and an engine with seccomp.')
  for (const warning of info.Warnings ?? [])
    if (/no (memory|swap|pids|cpu)/i.test(warning))
      warn(`It says: ${warning.replace(/^WARNING: /, '')}`, 'Boot the kernel with: cgroup_enable=memory swapaccount=1')
  const skew = info.SystemTime === undefined ? 0 : clockOff(Date.parse(info.SystemTime), asked, answered)
  if (Math.abs(skew) > SKEW)
    warn(
      `Its clock is ${Math.round(skew / 1000)} s off this one's.`,
      'Synchronise both clocks: timedatectl set-ntp true',
    )
  return found
}

const ask = (socketPath: string, signal: AbortSignal): Promise<Info> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/info', signal }, (response) => {
      text(response)
        .then((body) => resolve(JSON.parse(body) as Info))
        .catch(reject)
    })
    asked.on('error', reject)
    asked.end()
  })
