import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { propertiesOf } from './unit.ts'

/** Why a daemon of this host does not answer, as far as its unit and the last line of its log tell; empty when neither is there. */
export async function whySilent(data: string, signal: AbortSignal): Promise<string> {
  const [state, line] = await Promise.all([unitState(signal), lastLine(data, signal)])
  return [
    ...(state === undefined ? [] : [`The unit sluiced is ${state}.`]),
    ...(line === undefined ? [] : [`The daemon's last complaint: ${line}`]),
  ].join(' ')
}

async function unitState(signal: AbortSignal): Promise<string | undefined> {
  if (!existsSync('/run/systemd/system')) return undefined
  const [unit] = await propertiesOf(['sluiced.service'], signal).catch(() => [])
  return unit === undefined || unit.LoadState === 'not-found' ? undefined : `${unit.ActiveState} (${unit.SubState})`
}

async function lastLine(data: string, signal: AbortSignal): Promise<string | undefined> {
  // by our own marks and not by priority: the sentence with which a daemon gives up has none
  const args = ['--unit', 'sluiced', '--lines', '200', '--output', 'cat', '--quiet', '--no-pager']
  const journal = await promisify(execFile)('journalctl', args, { signal }).then(
    ({ stdout }) => stdout,
    () => '',
  )
  const text = journal.trim() || (await endOf(join(data, 'sluice.log')))
  return lastComplaint(text)
}

const END = 64 * 1024
const SHOWN = 500

async function endOf(path: string): Promise<string> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (size === 0) return ''
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(END), position: Math.max(0, size - END) })
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}

/** The last line that warns or gives up, in words: a line of ours is JSON behind its priority. */
export function lastComplaint(text: string): string | undefined {
  const lines = text
    .split('\n')
    .filter((line) => /^(?:<[0-4]>|sluice: | › {3}Error: )|"level":"(?:warn|error)"/.test(line))
  const last = (lines.at(-1) ?? '').replace(/^(?:<\d>|sluice: | › {3}Error: )/, '')
  if (last === '') return undefined
  try {
    const { event, error } = JSON.parse(last) as { event?: string; error?: string }
    return `${event}${error ? `: ${error.split('\n')[0]}` : ''}`.slice(0, SHOWN)
  } catch {
    return last.slice(0, SHOWN)
  }
}
