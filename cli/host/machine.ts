import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { release, totalmem } from 'node:os'
import { promisify } from 'node:util'
import type { Finding, Look } from '../finding.ts'

/** The machine itself: its kernel, its clock, and the programs that the daemon runs. */
export const machineLooks: Look[] = [
  { check: 'kernel', look: kernel },
  { check: 'cgroups', look: cgroups },
  { check: 'memory', look: async () => memory(totalmem()) },
  { check: 'node', look: async () => node(process.versions.node) },
  { check: 'clock', look: clock },
  { check: 'programs', look: programs },
]

async function kernel(): Promise<Finding[]> {
  const systems = await readFile('/proc/filesystems', 'utf8')
  const text = `Linux ${release()}`
  if (/\toverlay$/m.test(systems))
    return [{ check: 'kernel', state: 'ok', text: `${text}, with overlay file systems.` }]
  const remedy = 'modprobe overlay, and have it loaded at each start: echo overlay > /etc/modules-load.d/overlay.conf'
  return [{ check: 'kernel', state: 'fail', text: `${text} has no overlay file system: no dyno starts.`, remedy }]
}

const NEEDED = ['cpu', 'memory', 'pids']

async function cgroups(): Promise<Finding[]> {
  const unified = await readFile('/sys/fs/cgroup/cgroup.controllers', 'utf8').catch(() => undefined)
  return unified === undefined
    ? judged(1, version1(await readFile('/proc/cgroups', 'utf8')))
    : judged(2, unified.split(/\s+/))
}

/** Controllers that are on, of /proc/cgroups: https://man7.org/linux/man-pages/man7/cgroups.7.html */
export const version1 = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.split('\t'))
    .flatMap(([name = '', , , enabled]) => (enabled === '1' ? [name] : []))

function judged(version: 1 | 2, controllers: readonly string[]): Finding[] {
  const lacking = NEEDED.filter((name) => !controllers.includes(name))
  const text = `Version ${version}`
  if (lacking.length === 0) return [{ check: 'cgroups', state: 'ok', text: `${text}, with all controllers.` }]
  const remedy = 'Boot the kernel with cgroup_enable=memory, and without cgroup_disable=.'
  const without = `${text} without ${lacking.join(', ')}: dynos are not bounded in that.`
  return [{ check: 'cgroups', state: 'fail', text: without, remedy }]
}

const GIB = 1024 ** 3

export function memory(bytes: number): Finding[] {
  const text = `${(bytes / GIB).toFixed(1)} GB in all.`
  if (bytes >= 2 * GIB) return [{ check: 'memory', state: 'ok', text }]
  const remedy = 'Give the machine 2 GB at least: a build takes 512 MB to 2 GB, a dyno up to its size.'
  return [{ check: 'memory', state: 'warn', text: `${text} That is little for builds beside dynos.`, remedy }]
}

export function node(version: string): Finding[] {
  const text = `Node.js ${version} runs this command.`
  if (Number.parseInt(version, 10) >= 20) return [{ check: 'node', state: 'ok', text }]
  return [
    {
      check: 'node',
      state: 'fail',
      text,
      remedy: 'Install Node.js 20 or newer, or a release of Sluice, which brings its own.',
    },
  ]
}

/** By how much another clock, which said `at` somewhere between question and answer, is off ours, ms. */
export const clockOff = (at: number, asked: number, answered = Date.now()): number =>
  at - Math.min(answered, Math.max(asked, at))

/** Logins, certificates and cron-like work go by the clock. */
async function clock(signal: AbortSignal): Promise<Finding[]> {
  const args = ['show', '--property=NTPSynchronized', '--value']
  const said = await promisify(execFile)('timedatectl', args, { signal }).then(
    ({ stdout }) => stdout.trim(),
    () => '',
  )
  return [synchronized(said)]
}

export function synchronized(said: string): Finding {
  const check = 'clock'
  if (said === 'yes') return { check, state: 'ok', text: 'It is synchronised.' }
  const remedy = 'timedatectl set-ntp true, with systemd-timesyncd or chrony installed.'
  if (said === 'no')
    return { check, state: 'warn', text: 'It is not synchronised; certificates and logins go by it.', remedy }
  return {
    check,
    state: 'warn',
    text: 'Whether it is synchronised cannot be told: timedatectl does not answer.',
    remedy,
  }
}

async function programs(signal: AbortSignal): Promise<Finding[]> {
  const check = 'programs'
  const wanted = { git: ['--version'], nft: ['--version'], du: ['--version'] }
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`
  const runs = async ([name, args]: [string, string[]]) =>
    promisify(execFile)(name, args, { signal, env: { ...process.env, PATH: path } }).then(
      () => [],
      () => [name],
    )
  const lacking = (await Promise.all(Object.entries(wanted).map(runs))).flat()
  if (lacking.length === 0) return [{ check, state: 'ok', text: `${Object.keys(wanted).join(', ')} are there.` }]
  const state = lacking.includes('git') ? 'fail' : 'warn'
  return [
    { check, state, text: `${lacking.join(', ')} cannot be run.`, remedy: 'Install git, nftables and coreutils.' },
  ]
}
