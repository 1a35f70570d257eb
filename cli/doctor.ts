import { ask } from './api.ts'
import { examine, type Finding, type Look, show } from './finding.ts'
import { dataLook } from './host/data.ts'
import { engineLook } from './host/engine.ts'
import { clockOff, machineLooks } from './host/machine.ts'
import { type Place, place } from './host/place.ts'
import { portLooks } from './host/port.ts'
import { whySilent } from './host/silence.ts'
import { unitLook } from './host/unit.ts'
import { json } from './output.ts'
import { platform } from './platform.ts'
import type { Program } from './program.ts'
import { Failure } from './settings.ts'
import { examples } from './usage.ts'

export function register(program: Program): void {
  program
    .command('doctor')
    .description(
      'look whether host and platform are well, and what mends what is not\nEnds with 1 when something fails, with 0 when there are warnings only. Works when the platform is down: then it says why.',
    )
    .option('--json', 'output in json format')
    .addHelpText(...examples('$ sluice doctor', '$ sluice doctor --json'))
    .action(doctor)
}

interface Told {
  findings: Finding[]
  host: Place
  at: string
}

/** Beyond it two clocks differ, ms. */
const SKEW = 5000

async function doctor(choice: { json?: true }): Promise<void> {
  const here = await isHere()
  const told = await fromWithin(here)
  const outside = here ? await examine(hostLooks({ ...place(), ...told.host })) : []
  const findings = [...told.findings, ...outside]
  const failed = findings.filter(({ state }) => state === 'fail').length
  if (choice.json) json({ well: failed === 0, findings })
  else show(findings)
  if (failed > 0) throw new Failure(`${failed} of ${findings.length} things ${failed === 1 ? 'fails' : 'fail'}.`)
}

const hostLooks = (at: Place): Look[] => [
  ...machineLooks,
  engineLook(at.engine),
  dataLook(at.data),
  unitLook,
  ...portLooks(at),
]

/** What the daemon says of itself and of all that it sees; when it says nothing, why. */
async function fromWithin(here: boolean): Promise<{ findings: Finding[]; host?: Place }> {
  const asked = Date.now()
  try {
    const { findings, host, at } = await ask<Told>('GET', '/sluice/doctor', { patient: false })
    const answers: Finding = { check: 'API', state: 'ok', text: `It answers at ${(await platform()).url}.` }
    return { findings: [answers, ...skew(clockOff(Date.parse(at), asked)), ...findings], host }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return { findings: here ? await examine([silence(error.message)]) : [unanswered(error.message)] }
  }
}

const skew = (ms: number): Finding[] => {
  if (Math.abs(ms) < SKEW) return []
  const text = `The platform's clock is ${Math.round(ms / 1000)} s off this machine's.`
  return [{ check: 'clock', state: 'warn', text, remedy: 'Synchronise both: timedatectl set-ntp true' }]
}

const unanswered = (words: string, why = ''): Finding => ({
  ...{ check: 'API', state: 'fail', text: [words.split('\n')[0], why].filter(Boolean).join(' ') },
  remedy: 'What the daemon itself would look at is not known. Start it, or see: journalctl -u sluiced -n 50',
})

const silence = (words: string): Look => ({
  check: 'API',
  look: async (signal) => [unanswered(words, await whySilent(place().data, signal))],
})

/** Whether the platform is one of this machine. One that nobody can name yet would be. */
async function isHere(): Promise<boolean> {
  const url = await platform().then(
    (found) => found.url,
    () => undefined,
  )
  return url === undefined || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(url).hostname)
}
