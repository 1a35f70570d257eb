import type { Place } from './platform.ts'
import { waitFor } from './wait.ts'
import { faultsInEngine } from './whole-engine.ts'
import { faultsInFiles } from './whole-files.ts'
import { faultsInRows, type Rows, readRows, servingOf } from './whole-rows.ts'

/**
 * What must be true of a platform that has come to rest, whatever was done to it: waits until it is, and rejects with everything that is not,
 * but for what `except` matches.
 *
 *  - Rows: the database is sound (`integrity_check`, `foreign_key_check`). No build, release, promotion or set-up is under way and no app
 *    half destroyed. The dynos of each app are those that its formation asks for, up, and of the one release that serves.
 *  - API: it says the same of releases and dynos as the rows do.
 *  - Engine: each container, network, volume and image of the installation is a row's, and each row's are there.
 *  - Files: each one below the data folder is a row's or has a purpose that `daemon/README.md` documents, and each row's are there.
 *  - Routers: one is connected, each that is follows the newest table, and each app that has web dynos answers, under all its names.
 *
 * It looks with its own eyes and asks none of the daemon's sweeps. Wanted: a running daemon and router. Not looked at: whether one-off
 * dynos should have ended, what apps answer, and what outlives an app by design (activities, webhook events, promotions).
 */
export const whole = (platform: Place, except?: RegExp): Promise<unknown> =>
  waitFor(
    'the platform to be whole',
    async () => {
      const faults = await faultsIn(platform, except)
      if (faults.length > 0) throw new Error(faults.map((fault) => `\n  ${fault}`).join(''))
      return true
    },
    { within: 120_000 },
  )

/** What is not whole now. */
export async function faultsIn(platform: Place, except?: RegExp): Promise<string[]> {
  const rows = await readRows(platform.data)
  const inRows = faultsInRows(rows)
  // What is to be found elsewhere is known when the rows are at rest.
  if (inRows.length > 0) return inRows
  const elsewhere = await Promise.all([
    faultsInEngine(platform.data, rows),
    faultsInFiles(platform.data, rows),
    faultsInRouters(platform),
    ...rows.apps.flatMap((app) => [faultsInApi(platform, rows, app), faultsInAnswers(platform, rows, app)]),
  ])
  return elsewhere.flat().filter((fault) => !except?.test(fault))
}

/** Those that are lost serve by the table that they have; that is for who lost them to judge. */
async function faultsInRouters({ api }: Place): Promise<string[]> {
  const routers = await api<{ id: string; state: string; behind: number }[]>('GET', '/sluice/routers')
  const connected = routers.filter(({ state }) => state === 'connected')
  if (connected.length === 0) return ['no router is connected']
  return connected
    .filter(({ behind }) => behind > 0)
    .map(({ id, behind }) => `the router ${id} is ${behind} tables behind`)
}

type App = Rows['apps'][number]

async function faultsInApi(platform: Place, rows: Rows, app: App): Promise<string[]> {
  const [releases, dynos] = await Promise.all([platform.releases(app.name), platform.dynos(app.name)])
  const said = releases.filter(({ current }) => current).map(({ version }) => `v${version}`)
  const serving = servingOf(rows, app)
  const faults = releases
    .filter(({ status }) => status === 'pending')
    .map(({ version }) => `the API says that v${version} of ${app.name} is pending`)
  if (said.join() !== `v${serving?.version}`)
    faults.push(
      `the API says that ${said.join(' and ') || 'no release'} of ${app.name} serves, not v${serving?.version}`,
    )
  const shown = dynos.map(({ id }) => id).sort()
  const known = rows.dynos.filter(({ app_id }) => app_id === app.id).map(({ id }) => id)
  if (shown.join() !== known.sort().join())
    faults.push(`the API shows ${shown.length} dynos of ${app.name}, not ${known.length}`)
  return faults
}

const REQUESTS = 4

/** Whatever release answers is the one that serves, because at rest there is no container of another. */
async function faultsInAnswers(platform: Place, rows: Rows, app: App): Promise<string[]> {
  const web = rows.dynos.some(({ app_id, type, one_off }) => app_id === app.id && type === 'web' && one_off === null)
  if (!web || app.maintenance === 1) return []
  const domains = rows.domains.filter(({ app_id, hostname }) => app_id === app.id && !hostname.startsWith('*'))
  const faults: string[] = []
  for (const host of [`${app.name}.localhost`, ...domains.map(({ hostname }) => hostname)])
    for (let n = 0; n < REQUESTS; n++) {
      const { status } = await platform.request(app.name, '/', { headers: { host } })
      if (status >= 500 || status === 404) faults.push(`${host} answers ${status}`)
    }
  return faults
}
