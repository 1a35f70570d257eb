import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { action, header, json, say, styled, warn } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { ago } from './ago.ts'
import { appCommand, at } from './command.ts'
import { fields } from './fields.ts'
import { quote } from './quote.ts'
import { followCommand, latestRelease, printOutput, type Release, releaseNamed, releasesOf } from './release.ts'
import { grid } from './table.ts'

const SHOWN = 15
/** How far back a release to roll back to is looked for when none is named. */
const BACK = 10

export function register(program: Program): void {
  appCommand(program, 'releases', 'display the releases of an app')
    .option('-n, --num <num>', 'number of releases to show')
    .option('--json', 'output in json format', false)
    .action(async (options) => releases(await appOf(options), options.num, options.json))
  appCommand(program, 'releases:info', 'view detailed information for a release')
    .argument('[release]', 'its version; the newest by default')
    .option('-s, --shell', 'output in shell format', false)
    .option('--json', 'output in json format', false)
    .action(async (release, options) => info(await appOf(options), release, options))
  appCommand(program, 'releases:output', 'view the output of the release command')
    .argument('[release]', 'its version; the newest by default')
    .action(async (release, options) => output(await appOf(options), release))
  appCommand(program, 'releases:rollback', 'roll back to a previous release')
    .alias('rollback')
    .argument('[release]', 'its version; the one before the current by default')
    .action(async (release, options) => rollback(await appOf(options), release))
  appCommand(program, 'releases:retry', 'run the release command of the newest release again').action(async (options) =>
    retry(await appOf(options)),
  )
}

const STATUS: Record<Release['status'], string> = {
  succeeded: '',
  pending: 'release command executing',
  failed: 'release command failed',
  expired: 'release expired',
}
const COLOUR = { succeeded: 'cyan', pending: 'yellow', failed: 'red', expired: 'gray' } as const

const status = (release: Release): string => styled(COLOUR[release.status], STATUS[release.status])
const version = (release: Release): string => styled(COLOUR[release.status], `v${release.version}`)

async function releases(app: string, num: string | undefined, asJson: boolean): Promise<void> {
  const count = num === undefined ? SHOWN : Number(num)
  if (!Number.isInteger(count) || count < 1) throw new Failure(`--num takes a number of releases, not ${num}.`, 2)
  const all = await releasesOf(app, count)
  if (asJson) return json(all)
  if (all.length === 0) return say(`${app} has no releases.`)
  const current = all.find((release) => release.current)
  header(`${styled('magenta', app)} Releases${current ? ` - Current: v${current.version}` : ''}`)
  grid(
    {
      v: version,
      description: (release) => [release.description, status(release)].filter(Boolean).join(' '),
      user: ({ user }) => user?.email,
      created_at: ({ created_at }) => ago(created_at),
    },
    all,
  )
}

interface Form {
  shell: boolean
  json: boolean
}

async function info(app: string, named: string | undefined, form: Form): Promise<void> {
  const release = await found(app, named)
  if (form.json) return json(release)
  const config = await ask<Record<string, string>>('GET', at('apps', app, 'releases', release.version, 'config-vars'))
  header(`Release ${version(release)}`)
  fields({
    'Add-ons': release.addon_plan_names,
    By: release.user?.email ?? '',
    Change: release.description + (STATUS[release.status] && ` (${status(release)})`),
    'Eligible for Rollback?': release.eligible_for_rollback ? 'Yes' : 'No',
    When: release.created_at,
  })
  say('')
  header(`v${release.version} Config vars`)
  if (form.shell) for (const [key, value] of Object.entries(config)) say(`${key}=${quote(value)}`)
  else fields(config)
}

const found = (app: string, name = 'current'): Promise<Release> =>
  name === 'current' ? latestRelease(app) : releaseNamed(app, name)

async function output(app: string, named: string | undefined): Promise<void> {
  const release = await found(app, named)
  const url = release.output_stream_url
  if (!url) return warn(`Release v${release.version} has no release output available.`)
  await printOutput(url, 'Release command not started yet. Please try again in a few seconds.')
}

async function rollback(app: string, named = 'previous'): Promise<void> {
  const target = named === 'previous' ? await previous(app) : await releaseNamed(app, named)
  const fresh = await action(`Rolling back ${app} to v${target.version}`, async (tell) => {
    const fresh = await ask<Release>('POST', at('apps', app, 'releases'), { body: { release: target.id } })
    tell(`done, v${fresh.version}`)
    return fresh
  })
  warn("Rollback affects code and config vars; it doesn't add or remove addons.")
  warn(`To undo, run: sluice rollback v${fresh.version - 1}`)
  await followCommand(fresh, app)
}

async function previous(app: string): Promise<Release> {
  const [, release] = (await releasesOf(app, BACK)).filter((one) => one.eligible_for_rollback)
  if (!release) throw new Failure(`No eligible release found for ${app} to roll back to.`, 2)
  return release
}

async function retry(app: string): Promise<void> {
  const release = await latestRelease(app)
  const formation = await list<{ type: string }>(at('apps', app, 'formation'))
  if (!formation.some(({ type }) => type === 'release'))
    throw new Failure('App must have a release-phase command to use this command.', 2)
  const fresh = await action(`Retrying v${release.version} on ${app}`, async (tell) => {
    const body = { description: `Retry of v${release.version}: ${release.description}`, slug: release.slug?.id }
    const fresh = await ask<Release>('POST', at('apps', app, 'releases'), { body })
    tell(`done, v${fresh.version}`)
    return fresh
  })
  await followCommand(fresh, app)
}
