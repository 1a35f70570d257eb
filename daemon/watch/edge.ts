import { hostname } from 'node:os'
import type { Daemon } from '../daemon.ts'
import type { Firewall } from '../engine/firewall.ts'
import { limits } from '../limits.ts'
import { type Certified, certificateReport } from '../route/certificate-report.ts'
import type { Served } from './certificates.ts'
import { type Finding, type Look, named } from './finding.ts'

interface Sources {
  firewall: Pick<Firewall, 'state'>
  certificates(d: Daemon): Promise<Served[]>
  report?(d: Daemon): Promise<Certified[]>
}

/** What lies between apps and the world: routers, the firewall, certificates. */
export const edgeLooks = (d: Daemon, { firewall, certificates, report = certificateReport }: Sources): Look[] => [
  { check: 'routers', look: async () => routers(d) },
  { check: 'firewall', look: async () => wall(firewall) },
  { check: 'certificates', look: () => expiries(d, certificates) },
  { check: 'certificates', look: async () => automatic(await report(d)) },
]

function routers({ routers, config }: Daemon): Finding[] {
  const check = 'routers'
  const all = routers.list()
  const connected = all.filter(({ state }) => state === 'connected')
  const found: Finding[] = []
  if (connected.length === 0) {
    const text = 'No router is connected: nothing that changes reaches the public, and deploys wait.'
    found.push({
      check,
      state: 'fail',
      text,
      remedy: 'systemctl restart sluice-router, and see: journalctl -u sluice-router',
    })
  } else found.push({ check, state: 'ok', text: `${connected.length} connected.` })
  const behind = connected.filter(({ behind }) => behind > 0)
  if (behind.length > 0) {
    const text = `${named(behind.map(({ host, behind }) => `${host} is ${behind} behind`))}: changes wait for them.`
    found.push({
      check,
      state: 'warn',
      text,
      remedy: 'If it stays so, restart that router: systemctl restart sluice-router',
    })
  }
  const awaited = all.filter(({ state }) => state === 'awaited')
  if (awaited.length > 0) {
    const text = `${named(awaited.map(({ host }) => host))} is gone, and changes wait for it: it may serve by an old table.`
    found.push({ check, state: 'warn', text, remedy: 'Start it again, or forget it: sluice routers --forget ID' })
  }
  const far = connected.filter(({ host }) => host !== hostname())
  if (far.length > 0 && config.names) {
    const name = config.names.api
    const text = `${named(far.map(({ host }) => host))} leads to apps and not to ${name}: the way from another machine to this daemon is not private.`
    found.push({ check, state: 'warn', text, remedy: `Have ${name} lead to this machine only.` })
  }
  const lost = all.filter(({ state }) => state === 'lost')
  if (lost.length > 0) {
    const text = `${named(lost.map(({ host }) => host))} cannot be reached; when it runs, it serves by an old table.`
    found.push({ check, state: 'warn', text, remedy: 'Start it again, or forget it: sluice routers --forget ID' })
  }
  return found
}

function wall({ state }: Pick<Firewall, 'state'>): Finding {
  const check = 'firewall'
  switch (state) {
    case 'up':
      return { check, state: 'ok', text: 'It is up.' }
    case 'unwanted':
      return {
        ...{
          check,
          state: 'warn',
          text: 'It is off by SLUICE_FIREWALL: dynos reach this machine, its cloud and other apps.',
        },
        remedy: 'Take SLUICE_FIREWALL=off out of the settings unless something else keeps them apart.',
      }
    case 'down':
      return {
        ...{ check, state: 'fail', text: 'It cannot be put up: dynos reach this machine, its cloud and other apps.' },
        remedy: 'Install nftables and run the daemon as root, or by its unit, or accept it with SLUICE_FIREWALL=off.',
      }
  }
}

async function expiries(d: Daemon, read: (d: Daemon) => Promise<Served[]>): Promise<Finding[]> {
  const check = 'certificates'
  const all = await read(d)
  const now = d.clock.now()
  const left = ({ expiresAt }: Served) => expiresAt - now
  const found: Finding[] = []
  const tell = (state: Finding['state'], list: Served[], what: string, remedy: string) => {
    if (list.length > 0) found.push({ check, state, text: `${named(list.map(({ name }) => name))}: ${what}`, remedy })
  }
  const near = all.filter((one) => left(one) > 0 && left(one) < limits.certificateNear)
  const renew = 'Replace it (heroku certs:update), or restart the daemon for the one of its own.'
  tell(
    'fail',
    all.filter((one) => left(one) <= 0),
    'has expired.',
    renew,
  )
  tell('warn', near, `ends within ${limits.certificateNear / 86_400_000} days.`, renew)
  const broken = all.filter(({ trust }) => trust === 'chain incomplete')
  const complete = 'Add the certificates of its issuers, or take one that browsers trust: heroku certs:update CRT KEY'
  tell('warn', broken, 'its chain leads to no authority that browsers know.', complete)
  if (found.length > 0) return found
  return [{ check, state: 'ok', text: `${all.length} served, none near its end.` }]
}

/** Names whose certificate could not be had, or not be renewed. */
async function automatic(report: Certified[]): Promise<Finding[]> {
  const failing = report.filter(({ state }) => state === 'failing' || state === 'failed')
  const [first] = failing
  if (!first) return []
  const names = named(failing.map(({ hostname }) => hostname))
  const text = `None, or no new one, can be had for ${names}: ${first.reason ?? 'no reason was given'}`
  const remedy = 'It is tried again by itself; for a domain of an app at once: heroku certs:auto:refresh --app APP'
  return [{ check: 'certificates', state: 'warn', text, remedy }]
}
