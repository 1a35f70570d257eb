import { readFile } from 'node:fs/promises'
import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { action, json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { attended, confirmed } from '../prompt.ts'
import { Failure } from '../settings.ts'
import { utc } from './ago.ts'
import { type Endpoint, endpointsOf, showCertificate } from './certificate.ts'
import { registerAutomatic } from './certs-auto.ts'
import { registerGenerate } from './certs-generate.ts'
import { appCommand, at } from './command.ts'
import { confirm } from './confirm.ts'
import { domainsOf } from './domains.ts'
import { type Columns, grid } from './table.ts'

export function register(program: Program): void {
  appCommand(program, 'certs', 'list the SSL certificates of an app')
    .option('--json', 'output in json format', false)
    .action(async (options) => certs(await appOf(options), options.json))
  appCommand(program, 'certs:add', 'add an SSL certificate to an app')
    .argument('<CRT>', 'path of the certificate, with intermediate ones behind it (PEM)')
    .argument('<KEY>', 'path of its key')
    .action(async (crt, key, options) => add(await appOf(options), crt, key))
  named(program, 'certs:info', 'show an SSL certificate')
    .option('--show-domains', 'show its domains', false)
    .option('--json', 'output in json format', false)
    .action(async (options) => info(await appOf(options), options))
  named(program, 'certs:update', 'have an SSL certificate replaced')
    .argument('<CRT>', 'path of the certificate, with intermediate ones behind it (PEM)')
    .argument('<KEY>', 'path of its key')
    .option('--confirm <app>', 'name of the app, instead of typing it')
    .action(async (crt, key, options) => update(await appOf(options), [crt, key], options))
  named(program, 'certs:remove', 'remove an SSL certificate from an app')
    .option('--confirm <app>', 'name of the app, instead of typing it')
    .action(async (options) => remove(await appOf(options), options))
  registerAutomatic(program)
  registerGenerate(program)
}

const named = (program: Program, name: string, description: string) =>
  appCommand(program, name, description)
    .option('--name <name>', 'name of the certificate, where there are several')
    .option('--endpoint <hostname>', 'a domain that uses it')

interface Which {
  name?: string | undefined
  endpoint?: string | undefined
}

async function certs(app: string, asJson: boolean): Promise<void> {
  const all = (await endpointsOf(app)).toSorted((a, b) => (a.name > b.name ? 1 : -1))
  if (asJson) return json(all)
  if (all.length === 0) return say(`${app} has no SSL certificates.\nUse sluice certs:add CRT KEY to add one.`)
  const columns: Columns<Endpoint> = {
    Name: ({ name }) => name,
    ...(all.some(({ display_name }) => display_name) ? { 'Display Name': ({ display_name }) => display_name } : {}),
    'Common Name(s)': ({ ssl_cert }) => ssl_cert.cert_domains.join(', '),
    Expires: ({ ssl_cert }) => utc(ssl_cert.expires_at),
    Trusted: ({ ssl_cert }) => (ssl_cert['ca_signed?'] ? 'True' : 'False'),
    Type: ({ ssl_cert }) => (ssl_cert.acm ? 'ACM' : 'SNI'),
    ...(all.some(({ ssl_cert }) => !ssl_cert.acm)
      ? { Domains: ({ ssl_cert, domains }) => (ssl_cert.acm ? '' : domains.length) }
      : {}),
  }
  grid(columns, all)
}

const file = (path: string): Promise<string> =>
  readFile(path, 'utf8').catch(({ message }: Error) => {
    throw new Failure(message)
  })

async function pair([crt, key]: [string, string]): Promise<{ certificate_chain: string; private_key: string }> {
  const [certificate_chain, private_key] = await Promise.all([file(crt), file(key)])
  return { certificate_chain, private_key }
}

async function add(app: string, crt: string, key: string): Promise<void> {
  const body = await pair([crt, key])
  const endpoint = await action(`Adding SSL certificate to ${app}`, () =>
    ask<Endpoint>('POST', at('apps', app, 'sni-endpoints'), { body }),
  )
  showCertificate(endpoint)
  for (const hostname of await fitting(app, endpoint)) {
    const use = `sluice domains:update ${hostname} --cert ${endpoint.name}`
    if (!attended()) say(`To use it for ${hostname}, run: ${use}`)
    else if (await confirmed(`Use it for ${hostname}?`, true))
      await ask('PATCH', at('apps', app, 'domains', hostname), { body: { sni_endpoint: endpoint.name } })
  }
}

/** The app's domains that a certificate holds for and that don't use it yet. */
async function fitting(app: string, { name, ssl_cert }: Endpoint): Promise<string[]> {
  const covers = (hostname: string): boolean =>
    ssl_cert.cert_domains.some(
      (pattern) =>
        pattern === hostname || (pattern.startsWith('*.') && pattern.slice(2) === hostname.replace(/^[^.]+\./, '')),
    )
  return (await domainsOf(app))
    .filter(({ kind, hostname, sni_endpoint }) => kind === 'custom' && covers(hostname) && sni_endpoint?.name !== name)
    .map(({ hostname }) => hostname)
}

async function info(
  app: string,
  { showDomains, json: asJson, ...which }: Which & { showDomains: boolean; json: boolean },
) {
  const { name, domains } = await endpoint(app, which)
  const cert = await action(`Fetching SSL certificate ${name} info for ${app}`, () =>
    ask<Endpoint>('GET', at('apps', app, 'sni-endpoints', name)),
  )
  if (asJson) return json(cert)
  const hostnames = showDomains
    ? await action(`Fetching domains for ${name}`, () =>
        Promise.all(
          domains.map(async (id) => (await ask<{ hostname: string }>('GET', at('apps', app, 'domains', id))).hostname),
        ),
      )
    : []
  showCertificate({ ...cert, domains: hostnames })
}

async function update(app: string, paths: [string, string], options: Which & { confirm?: string | undefined }) {
  const { name } = await endpoint(app, options)
  const body = await pair(paths)
  await confirm(
    app,
    options.confirm,
    `Potentially Destructive Action\nThis command will change the certificate of endpoint ${name} from ${app}.`,
  )
  const fresh = await action(`Updating SSL certificate ${name} for ${app}`, () =>
    ask<Endpoint>('PATCH', at('apps', app, 'sni-endpoints', name), { body }),
  )
  showCertificate(fresh, 'Updated certificate details:')
}

async function remove(app: string, options: Which & { confirm?: string | undefined }): Promise<void> {
  const { name } = await endpoint(app, options)
  await confirm(
    app,
    options.confirm,
    `WARNING: Destructive Action - you cannot rollback this change\nThis command will remove the endpoint ${name} from ${app}.`,
  )
  await action(`Removing SSL certificate ${name} from ${app}`, () =>
    ask('DELETE', at('apps', app, 'sni-endpoints', name)),
  )
}

/** The one that is meant. */
async function endpoint(app: string, { name, endpoint }: Which): Promise<Endpoint> {
  if (name && endpoint) throw new Failure('Specified both --name and --endpoint, please use just one')
  const all = await list<Endpoint>(at('apps', app, 'sni-endpoints'))
  if (all.length === 0) throw new Failure(`${app} has no SSL certificates`)
  const using = endpoint && (await domainsOf(app)).find(({ hostname }) => hostname === endpoint)?.sni_endpoint?.name
  const [one, other] = all.filter((each) => (name ? each.name === name : !endpoint || each.name === using))
  if (other) throw new Failure('Must pass --name when more than one endpoint')
  if (!one) throw new Failure('Record not found.')
  return one
}
