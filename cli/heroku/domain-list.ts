import { appOf } from '../app.ts'
import { header, json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { registered } from '../registered.ts'
import { Failure } from '../settings.ts'
import { appCommand } from './command.ts'
import { type Domain, domainsOf } from './domains.ts'
import { type Columns, csv, grid } from './table.ts'

const COLUMNS: Columns<Domain> = {
  'Domain Name': ({ hostname }) => hostname,
  'DNS Record Type': ({ hostname }) => (apex(hostname) ? 'ALIAS or ANAME' : 'CNAME'),
  'DNS Target': ({ cname }) => cname,
  'SNI Endpoint': ({ sni_endpoint }) => sni_endpoint?.name,
}
const MORE: Columns<Domain> = {
  'ACM Status': ({ acm_status }) => acm_status,
  'ACM Reason': ({ acm_status_reason }) => acm_status_reason,
}

export function registerDomainList(program: Program): void {
  appCommand(program, 'domains', 'list the domains of an app')
    .option('--columns <columns>', 'only show these columns (comma-separated)')
    .option('-c, --csv', 'output in csv format', false)
    .option('-x, --extended', 'show extra columns', false)
    .option('--filter <filter>', 'only those with a text in a column: --filter "Domain Name=www"')
    .option('--no-wrap', 'lines are never broken, so this changes nothing')
    .option('--sort <column>', 'sort by a column')
    .option('-j, --json', 'output in json format', false)
    .action(async (options) => domains(await appOf(options), options))
}

interface Form {
  columns?: string | undefined
  csv: boolean
  extended: boolean
  filter?: string | undefined
  sort?: string | undefined
  json: boolean
}

async function domains(app: string, form: Form): Promise<void> {
  const all = await domainsOf(app)
  if (form.json) return json(all)
  const columns = { ...COLUMNS, ...(form.extended ? MORE : {}) }
  const custom = sorted(
    filtered(
      all.filter(({ kind }) => kind === 'custom'),
      columns,
      form.filter,
    ),
    columns,
    form.sort,
  )
  header(`${app} Heroku Domain`)
  for (const { kind, hostname } of all) if (kind === 'heroku') say(hostname)
  if (custom.length === 0) return
  say('\n')
  header(`${app} Custom Domains`)
  const print = form.csv ? csv : grid
  print(selected(columns, form.columns), custom)
}

function column(columns: Columns<Domain>, name: string): [string, (domain: Domain) => unknown] {
  const found = Object.entries(columns).find(([title]) => title.toLowerCase() === name.trim().toLowerCase())
  if (!found) throw new Failure(`${name} is no column. There are: ${Object.keys(columns).join(', ')}.`)
  return found
}

const selected = (columns: Columns<Domain>, names: string | undefined): Columns<Domain> =>
  names === undefined ? columns : Object.fromEntries(names.split(',').map((name) => column(columns, name)))

function filtered(domains: Domain[], columns: Columns<Domain>, filter: string | undefined): Domain[] {
  if (filter === undefined) return domains
  const [, name = '', wanted] = /^([^=]*)=(.+)$/.exec(filter) ?? []
  if (wanted === undefined) throw new Failure('Filter flag has an invalid value')
  const [, value] = column(columns, name)
  return domains.filter((domain) => String(value(domain) ?? '').includes(wanted.trim()))
}

function sorted(domains: Domain[], columns: Columns<Domain>, name: string | undefined): Domain[] {
  if (name === undefined) return domains
  const [, value] = column(columns, name)
  return domains.toSorted((a, b) => String(value(a) ?? '').localeCompare(String(value(b) ?? '')))
}

/** Whether a name has no label above what is registered, so that DNS allows no CNAME there. */
export const apex = (hostname: string): boolean => !hostname.startsWith('*.') && hostname === registered(hostname)
