import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import type { Finding, Look } from '../finding.ts'

/** The platform's units, where systemd is what runs them. */
export const unitLook: Look = { check: 'units', look: units }

const UNITS = ['sluiced.service', 'sluice-router.service', 'sluice-http.socket', 'sluice-https.socket']

async function units(signal: AbortSignal): Promise<Finding[]> {
  if (!existsSync('/run/systemd/system')) return []
  return judged(await propertiesOf(UNITS, signal))
}

/** Of one unit, as `systemctl show` names them. */
export type Properties = Record<string, string>

export const propertiesOf = async (names: readonly string[], signal: AbortSignal): Promise<Properties[]> =>
  parsed((await promisify(execFile)('systemctl', ['show', ...names], { signal, maxBuffer: 4 * 1024 ** 2 })).stdout)

export const parsed = (text: string): Properties[] =>
  text
    .split('\n\n')
    .filter((part) => part.trim() !== '')
    .map((part) =>
      Object.fromEntries(
        part.split('\n').map((line) => {
          const at = line.indexOf('=')
          return [line.slice(0, at), line.slice(at + 1)]
        }),
      ),
    )

/** More restarts than an upgrade makes. */
const OFTEN = 5

/** Pure. Units that are not installed are no fault: the platform may be run by hand. */
export function judged(all: readonly Properties[]): Finding[] {
  const installed = all.filter(({ LoadState }) => LoadState !== 'not-found')
  if (installed.length === 0)
    return [{ check: 'units', state: 'ok', text: 'None is installed: the platform is run by hand.' }]
  const found = installed.flatMap(faultsOf)
  if (found.length > 0) return found
  return [{ check: 'units', state: 'ok', text: `${installed.map(({ Id }) => Id).join(', ')}: active and enabled.` }]
}

/** https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#Process%20Exit%20Codes */
const CREDENTIALS = '243'

function faultsOf({
  Id = '',
  ActiveState,
  SubState,
  UnitFileState,
  NRestarts,
  WatchdogUSec,
  Result,
  ExecMainStatus,
}: Properties): Finding[] {
  const check = 'units'
  const found: Finding[] = []
  const see = `systemctl status ${Id}, and: journalctl -u ${Id} -n 50`
  if (ActiveState !== 'active' && ExecMainStatus === CREDENTIALS)
    found.push({
      ...{ check, state: 'fail', text: `${Id} does not start: systemd cannot open the sealing key for it.` },
      remedy: `Look at: journalctl -u ${Id} -n 20. A key that was encrypted (systemd-creds) opens on that machine alone: encrypt it anew, from where it was backed up to.`,
    })
  else if (ActiveState === 'failed' || ActiveState === 'inactive' || SubState === 'auto-restart')
    found.push({
      check,
      state: 'fail',
      text: `${Id} is ${ActiveState} (${SubState}, ${Result}).`,
      remedy: `systemctl start ${Id}. If that fails: ${see}`,
    })
  else if (Number(NRestarts ?? 0) >= OFTEN)
    found.push({ check, state: 'warn', text: `${Id} was restarted ${NRestarts} times.`, remedy: see })
  if (UnitFileState === 'disabled')
    found.push({
      check,
      state: 'warn',
      text: `${Id} does not start with the machine.`,
      remedy: `systemctl enable ${Id}`,
    })
  if (Id.endsWith('.service') && ActiveState === 'active' && (WatchdogUSec === '0' || WatchdogUSec === 'infinity'))
    found.push({
      ...{ check, state: 'warn', text: `${Id} has no watchdog: one that hangs is not restarted.` },
      remedy: `Put WatchdogSec=60 into the unit: systemctl edit ${Id}`,
    })
  return found
}
