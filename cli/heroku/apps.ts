import { inspect } from 'node:util'
import { ask, list } from '../api.ts'
import { appOption, perhapsAppOf, remoteOption } from '../app.ts'
import { header, json, say, styled } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { registerDiff } from './app-diff.ts'
import { registerHands } from './app-hands.ts'
import { registerLife } from './app-life.ts'
import { at } from './command.ts'
import { fields } from './fields.ts'
import { registerStack } from './stack.ts'
import { grid } from './table.ts'

interface App {
  name: string
  region: { name: string }
  owner: { email: string }
  locked?: boolean
}

interface Details extends App {
  acm: boolean
  archived_at: string | null
  git_url: string
  web_url: string
  repo_size: number | null
  slug_size: number | null
  create_status?: string
  stack: { name: string }
  build_stack: { name: string }
}

interface Info {
  addons: { plan?: { name: string } }[]
  app: Details
  collaborators: { user: { email: string } }[]
  dynos: { type: string }[]
  pipeline_coupling: { stage: string; pipeline: { name: string } } | null
}

export function register(program: Program): void {
  program
    .command('apps')
    .aliases(['apps:list', 'list'])
    .description('list your apps')
    .option('-A, --all', 'include apps in all teams', false)
    .option('-p, --personal', 'apps of your own when a default team is set', false)
    .option('-t, --team <team>', 'team to use', process.env.HEROKU_TEAM)
    .option('-j, --json', 'output in json format', false)
    .action(apps)
  program
    .command('apps:info')
    .alias('info')
    .description('show detailed app information')
    .argument('[app]', 'name of the app')
    .addOption(appOption)
    .addOption(remoteOption)
    .option('-s, --shell', 'output more shell friendly key/value pairs', false)
    .option('-j, --json', 'output in json format', false)
    .action(info)
  registerLife(program)
  registerHands(program)
  registerDiff(program)
  registerStack(program)
}

interface Which {
  all: boolean
  personal: boolean
  team?: string | undefined
  json: boolean
}

async function apps({ all, personal, team, json: asJson }: Which): Promise<void> {
  const ofTeam = personal ? undefined : team
  const path = ofTeam ? at('teams', ofTeam, 'apps') : all ? '/apps' : '/users/~/apps'
  const [found, { email }] = await Promise.all([list<App>(path), ask<{ email: string }>('GET', '/account')])
  const sorted = found.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  if (asJson) return json(sorted)
  if (sorted.length === 0) return say(ofTeam ? `There are no apps in team ${ofTeam}.` : 'You have no apps.')
  const own = ofTeam ? sorted : sorted.filter(({ owner }) => owner.email === email)
  if (own.length > 0) header(ofTeam ? `Apps in team ${ofTeam}` : `${email} Apps`)
  for (const app of own) say(label(app))
  const others = sorted.filter((app) => !own.includes(app))
  if (others.length === 0) return
  say('')
  say(`${styled('bold', 'Collaborated Apps')}\n`)
  grid({ Name: label, Email: ({ owner }) => owner.email }, others)
}

const label = ({ name, locked, region }: App): string =>
  `${styled('magenta', name)}${locked ? ' [locked]' : ''}${region.name === 'us' ? '' : ` (${region.name})`}`

interface Form {
  app?: string | undefined
  remote?: string | undefined
  shell: boolean
  json: boolean
}

async function info(named: string | undefined, options: Form): Promise<void> {
  const app = named ?? (await perhapsAppOf(options))
  if (app === undefined) throw new Failure('No app specified.\nUSAGE: sluice apps:info --app my-app')
  const found = await infoOf(app)
  if (options.shell) return shell(found)
  if (options.json) return json(found)
  header(styled('magenta', found.app.name))
  fields(titled(found))
}

async function infoOf(app: string): Promise<Info> {
  const [addons, details, dynos, collaborators, pipeline_coupling] = await Promise.all([
    list<Info['addons'][number]>(at('apps', app, 'addons')),
    ask<Details>('GET', at('apps', app)),
    list<Info['dynos'][number]>(at('apps', app, 'dynos')).catch(() => []),
    list<Info['collaborators'][number]>(at('apps', app, 'collaborators')).catch(() => []),
    ask<Info['pipeline_coupling']>('GET', at('apps', app, 'pipeline-couplings')).catch(() => null),
  ])
  return { addons, app: details, collaborators, dynos, pipeline_coupling }
}

const plans = ({ addons }: Info): string[] => addons.flatMap(({ plan }) => plan?.name ?? []).sort()
const guests = ({ app, collaborators }: Info): string[] =>
  collaborators
    .map(({ user }) => user.email)
    .filter((email) => email !== app.owner.email)
    .sort()

function counted(dynos: Info['dynos']): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { type } of dynos) counts[type] = (counts[type] ?? 0) + 1
  return counts
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']

/** `12 MB`, without decimals; a KB has 1024 bytes. */
function size(bytes: number | null): string {
  let value = bytes ?? 0
  let unit = 0
  for (; Math.round(value) >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024
  return `${Math.round(value)} ${UNITS[unit]}`
}

function titled(info: Info): Record<string, unknown> {
  const { app, pipeline_coupling: coupling, dynos } = info
  const next = app.stack.name === app.build_stack.name ? '' : ` (next build will use ${app.build_stack.name})`
  return {
    Addons: plans(info),
    Collaborators: guests(info),
    'Archived At': app.archived_at && new Date(app.archived_at).toISOString(),
    'Create Status': app.create_status === 'complete' ? undefined : app.create_status,
    Pipeline: coupling && `${coupling.pipeline.name} - ${coupling.stage}`,
    'Auto Cert Mgmt': app.acm,
    'Git URL': app.git_url,
    'Web URL': app.web_url,
    'Repo Size': size(app.repo_size),
    'Slug Size': size(app.slug_size),
    Owner: app.owner.email,
    Region: app.region.name,
    Dynos: counted(dynos),
    Stack: `${app.stack.name}${next}`,
  }
}

function shell(info: Info): void {
  const { app, pipeline_coupling: coupling, dynos } = info
  const values = {
    auto_cert_mgmt: app.acm,
    addons: plans(info),
    collaborators: guests(info),
    archived_at: app.archived_at && new Date(app.archived_at).toISOString(),
    create_status: app.create_status === 'complete' ? null : app.create_status,
    pipeline: coupling && `${coupling.pipeline.name}:${coupling.stage}`,
    git_url: app.git_url,
    web_url: app.web_url,
    repo_size: size(app.repo_size),
    slug_size: size(app.slug_size),
    owner: app.owner.email,
    region: app.region.name,
    dynos: inspect(counted(dynos)),
    stack: app.stack.name,
  }
  for (const [key, value] of Object.entries(values)) if (value !== null) say(`${key}=${value}`)
}
