import { setTimeout as pause } from 'node:timers/promises'
import { ask } from '../api.ts'
import { appOf } from '../app.ts'
import { action, header, json, say, styled } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { distance } from './ago.ts'
import { endpointsOf, showCertificate } from './certificate.ts'
import { appCommand, at } from './command.ts'
import { confirm } from './confirm.ts'
import { apex } from './domain-list.ts'
import { type Domain, domainsOf } from './domains.ts'
import { grid } from './table.ts'

/** Between two looks at whether a certificate is issued, ms. */
const LOOK = 5000

export function registerAutomatic(program: Program): void {
  appCommand(program, 'certs:auto', 'show the state of automatic certificates')
    .option('--wait', 'wait until they are issued, or have failed', false)
    .option('--json', 'output in json format', false)
    .action(async (options) => show(await appOf(options), options))
  appCommand(program, 'certs:auto:enable', 'have certificates made and renewed')
    .option('--wait', 'wait until they are issued', false)
    .action(async (options) => enable(await appOf(options), options.wait))
  appCommand(program, 'certs:auto:disable', 'have no more certificates made')
    .option('-c, --confirm <app>', 'name of the app, instead of typing it')
    .action(async (options) => disable(await appOf(options), options.confirm))
  appCommand(program, 'certs:auto:refresh', 'try failed domains again').action(async (options) => {
    const app = await appOf(options)
    await action('Refreshing Automatic Certificate Management', () =>
      ask('PATCH', at('apps', app, 'acm'), { body: { acm_refresh: true } }),
    )
  })
}

const customOf = async (app: string): Promise<Domain[]> =>
  (await domainsOf(app)).filter(({ kind }) => kind === 'custom')

async function show(app: string, { wait, json: asJson }: { wait: boolean; json: boolean }): Promise<void> {
  const [{ acm }, endpoints] = await Promise.all([ask<{ acm: boolean }>('GET', at('apps', app)), endpointsOf(app)])
  if (!acm && !asJson) return header(`Automatic Certificate Management is disabled on ${app}`)
  if (!asJson) header(`Automatic Certificate Management is enabled on ${app}`)
  const [only, other] = endpoints
  if (only?.ssl_cert.acm && !other && !asJson) {
    showCertificate(only)
    say('')
  }
  if (wait) await issued(app).catch(() => {})
  const domains = await customOf(app)
  if (asJson) return json({ acm, domains })
  if (domains.length > 0)
    grid(
      {
        Domain: ({ hostname }) => hostname,
        Status: ({ acm_status }) => humane(acm_status),
        ...(domains.some(({ acm_status_reason }) => acm_status_reason)
          ? { Reason: ({ acm_status_reason }: Domain) => acm_status_reason }
          : {}),
        'Last Updated': ({ updated_at }) => distance(updated_at),
      },
      domains,
    )
  const next = advice(domains)
  if (next === undefined) return
  if (domains.length > 0) say('')
  header(next)
}

function advice(domains: Domain[]): string | undefined {
  const some = (state: string): boolean => domains.some(({ acm_status }) => acm_status === state)
  if (domains.length === 0) return 'Add a custom domain to your app by running: sluice domains:add <yourdomain.com>'
  if (some('failed'))
    return 'Some domains failed validation after multiple attempts, retry by running: sluice certs:auto:refresh'
  if (some('failing')) return 'Some domains are failing validation, please verify that your DNS matches: sluice domains'
  return undefined
}

function humane(status: string | null): string {
  switch (status) {
    case null:
    case '':
      return styled('cyan', 'Waiting')
    case 'ok':
      return styled('green', 'OK')
    case 'failed':
      return styled('red', 'Failed')
    case 'verified':
      return styled('cyan', 'In Progress')
    case 'dns-verified':
      return styled('cyan', 'DNS Verified')
    default:
      return status
        .split('-')
        .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
        .join(' ')
  }
}

async function enable(app: string, wait: boolean): Promise<void> {
  const before = await domainsOf(app)
  await action('Enabling Automatic Certificate Management', async (tell) => {
    await ask('POST', at('apps', app, 'acm'), { body: {} })
    tell(
      wait
        ? 'starting.'
        : 'starting. See status with sluice certs:auto or wait until active with sluice certs:auto --wait',
    )
  })
  if (wait) await issued(app)
  const domains = await domainsOf(app)
  const changed = domains.filter(({ hostname, cname }) =>
    before.some((domain) => domain.hostname === hostname && domain.cname !== cname),
  )
  const managed = 'Your certificate will now be managed by Sluice. Check the status by running sluice certs:auto.'
  if (changed.length === 0) return header(managed)
  header(`${managed}  Update your application's DNS settings as follows`)
  grid(
    {
      Domain: ({ hostname }) => hostname,
      'Record Type': ({ hostname }) => (apex(hostname) ? 'ALIAS/ANAME' : 'CNAME'),
      'DNS Target': ({ cname }) => cname,
    },
    changed,
  )
}

/** Rejects when it has come to nothing for some domain. */
async function issued(app: string): Promise<void> {
  const over = ({ acm_status }: Domain): boolean => acm_status === 'cert issued' || acm_status === 'failed'
  let domains = await customOf(app)
  if (!domains.every(over))
    await action('Waiting until the certificate is issued to all domains', async () => {
      for (; !domains.every(over); domains = await customOf(app)) await pause(LOOK)
    })
  if (domains.some(({ acm_status }) => acm_status === 'failed'))
    throw new Failure('The certificate could not be issued to all domains. See status with sluice certs:auto.')
}

async function disable(app: string, confirmed: string | undefined): Promise<void> {
  const warning = `This command will disable Automatic Certificate Management from ${app}.
This will cause the certificate to be removed from ${app} causing SSL
validation errors.  In order to avoid downtime, the recommended steps
are preferred which will also disable Automatic Certificate Management.

1) Request a new SSL certificate for your domains names from your certificate provider
2) sluice certs:update CRT KEY
`
  await confirm(app, confirmed, warning)
  await action('Disabling Automatic Certificate Management', () => ask('DELETE', at('apps', app, 'acm')))
}
