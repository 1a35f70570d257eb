import { stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Finding, Look } from '../finding.ts'

/** The data folder: who may read it, and whether there is room. */
export const dataLook = (folder: string): Look => ({ check: 'data folder', look: () => data(folder) })

const check = 'data folder'

async function data(folder: string): Promise<Finding[]> {
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => error)
  if (found instanceof Error) {
    if (found.code === 'ENOENT')
      return [
        {
          ...{ check, state: 'fail', text: `${folder} is not there.` },
          remedy: 'Set SLUICE_DATA to where the platform has its data, or start the platform: it makes the folder.',
        },
      ]
    return [{ check, state: 'warn', text: `You may not look into ${folder}.`, remedy: 'Run this as root.' }]
  }
  const faults = [...mayLook(folder, found.mode), ...(await secretsOf(folder, found.mode)), ...(await roomOf(folder))]
  return faults.length > 0
    ? faults
    : [{ check, state: 'ok', text: `${folder}: its secrets are kept, and there is room.` }]
}

const OTHERS = 0o007
const GROUP = 0o070
const PASS = 0o011
const READ = 0o040

/** Those of its group may pass through, where routers are another user. */
const mayLook = (folder: string, mode: number): Finding[] =>
  (mode & (OTHERS | GROUP) & ~(PASS & GROUP)) === 0
    ? []
    : [
        {
          check,
          state: 'fail',
          text: `Others on this machine may look into ${folder}.`,
          remedy: `chmod o=,g-rw ${folder}`,
        },
      ]

/** The latter are read by routers. */
const SECRETS = ['seal.key', 'admin.token', 'ssh.key', 'tls/ca.key', 'registry.secret', 'stream.key', 'sluice.db']
const SHARED = ['router.token', 'metrics.token', 'tls/key.pem']

/** What those may read who get as far as the folder lets them. */
async function secretsOf(folder: string, mode: number): Promise<Finding[]> {
  const there = (mode & PASS & OTHERS ? OTHERS : 0) | (mode & PASS & GROUP ? GROUP : 0)
  const open = async (name: string, forbidden: number) => {
    const path = join(folder, name)
    const { mode } = await stat(path).catch(() => ({ mode: 0 }))
    return (mode & forbidden) === 0 ? [] : [path]
  }
  const found = await Promise.all([
    ...SECRETS.map((name) => open(name, there)),
    ...SHARED.map((name) => open(name, there & ~READ)),
  ])
  const paths = found.flat()
  if (paths.length === 0) return []
  return [
    {
      ...{ check, state: 'fail', text: `Others may read or change ${paths.join(', ')}.` },
      remedy: `chmod go= ${paths.join(' ')}`,
    },
  ]
}

/** Builds are refused below it. */
const LEAST = 512 * 1024 ** 2
const LITTLE = 0.1
/** https://man7.org/linux/man-pages/man2/statfs.2.html */
const OVERLAY = 0x794c7630

async function roomOf(folder: string): Promise<Finding[]> {
  const { type, bavail, bsize, blocks, files, ffree } = await statfs(folder)
  const free = bavail * bsize
  const found: Finding[] = []
  if (type === OVERLAY)
    found.push({
      ...{ check, state: 'fail', text: `${folder} is on an overlay file system, on which no dyno starts.` },
      remedy: 'Put it on ext4, xfs or btrfs, and set SLUICE_DATA.',
    })
  const remedy = 'See who holds it: sluice disk --apps. Have removed what can go: sluice disk --collect'
  const text = `${Math.round(free / 1024 ** 2)} MB are free where ${folder} is.`
  if (free < LEAST) found.push({ check, state: 'fail', text: `${text} Builds are refused.`, remedy })
  else if (bavail < blocks * LITTLE) found.push({ check, state: 'warn', text, remedy })
  if (files > 0 && ffree < files * LITTLE)
    found.push({
      check,
      state: 'warn',
      text: `The file system of ${folder} can take ${ffree} more files only.`,
      remedy,
    })
  return found
}
