import { join } from 'node:path'
import { defaultStack, type Stack } from '../app/stack.ts'
import type { Daemon } from '../daemon.ts'
import { fileSystems } from '../disk/report.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import { megabytes } from '../run/notice.ts'
import { faultsOf } from '../store/integrity.ts'
import type { Finding, Look } from './finding.ts'

/** What the platform stands on: the engine, its stack images, disk, memory, the database. */
export const hostLooks = (d: Daemon): Look[] => [
  { check: 'engine', look: () => engine(d) },
  { check: 'stack images', look: () => images(d) },
  { check: 'disk', look: () => disk(d) },
  { check: 'memory', look: () => memory(d) },
  { check: 'database', look: (signal) => database(d, signal) },
]

const engine = ({ engine }: Daemon): Promise<Finding> =>
  engine.ping().then(
    () => ({ check: 'engine', state: 'ok', text: 'It answers.' }),
    (error: unknown) => ({
      ...{ check: 'engine', state: 'fail', text: `${messageOf(error)} Dynos that run go on.` },
      remedy: 'systemctl status docker, and what its log says: journalctl -u docker',
    }),
  )

/** Of the stacks that apps have, and that new ones get. */
async function images(d: Daemon): Promise<Finding[]> {
  const rows = await d.db.selectFrom('apps').select('stack').distinct().where('destroyed_at', 'is', null).execute()
  const stacks = new Set<string>([defaultStack, ...rows.map(({ stack }) => stack)])
  stacks.delete('container' satisfies Stack)
  return Promise.all([...stacks].map((stack) => image(d, stack)))
}

async function image(d: Daemon, stack: string): Promise<Finding> {
  const check = 'stack images'
  const remedy = 'Run systemd/setup.sh again, then restart the daemon.'
  const lacks = `The engine has no images of the stack ${stack}: nothing is built for it, and no dyno of it starts.`
  let pair: ReturnType<Daemon['stack']>
  try {
    pair = d.stack(stack)
  } catch {
    return { check, state: 'fail', text: lacks, remedy }
  }
  const found = await Promise.all([pair.run, pair.build].map((id) => d.engine.images.inspect(id)))
  if (found.includes(null)) return { check, state: 'fail', text: lacks, remedy }
  const origin = pair.origin === 'official' ? "Heroku's own images" : 'images made from Debian'
  return { check, state: 'ok', text: `${stack}: ${origin}.` }
}

async function disk(d: Daemon): Promise<Finding[]> {
  const systems = await fileSystems(d)
  return systems.map(({ place, size, free, short }) => {
    const where = place === 'data' ? d.config.data : "the engine's folder"
    const text = `${megabytes(free)} of ${megabytes(size)} are free where ${where} is.`
    if (!short) return { check: 'disk', state: 'ok', text }
    const remedy = 'See who holds it with: sluice disk --apps. Have removed what can go with: sluice disk --collect'
    if (free < limits.diskReserve)
      return {
        check: 'disk',
        state: 'fail',
        text: `${text} Builds are refused below ${megabytes(limits.diskReserve)}.`,
        remedy,
      }
    return { check: 'disk', state: 'warn', text: `${text} That is more in use than SLUICE_DISK says.`, remedy }
  })
}

async function memory(d: Daemon): Promise<Finding> {
  const { now } = await d.capacity.room(d.db)
  const room = Number.isFinite(now) ? megabytes(Math.max(0, now)) : 'no bound'
  const text = `There is room for ${room} more of dynos and builds.`
  if (now >= limits.buildLeast) return { check: 'memory', state: 'ok', text }
  const remedy = 'Scale something down (heroku ps:scale), or give the machine more memory.'
  return { check: 'memory', state: 'warn', text: `${text} A push or a further dyno is refused.`, remedy }
}

async function database({ config, db }: Daemon, signal: AbortSignal): Promise<Finding> {
  const check = 'database'
  const path = join(config.data, 'sluice.db')
  const asked = db.selectFrom('accounts').select('id').limit(1).execute()
  const silent = await asked.then(
    () => [],
    (error: unknown) => [messageOf(error)],
  )
  const faults = [...silent, ...(await faultsOf(path, signal))]
  if (faults.length === 0) return { check, state: 'ok', text: 'It answers, and its file is whole.' }
  const remedy = `Stop the daemon, copy ${path} away, and restore the newest backup.`
  return { check, state: 'fail', text: `It is damaged: ${faults.join('; ')}`, remedy }
}
