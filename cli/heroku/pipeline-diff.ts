import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ask } from '../api.ts'
import { appOf } from '../app.ts'
import { USAGE } from '../command.ts'
import { gitOptions } from '../credentials.ts'
import { guarded } from '../guard.ts'
import { action, header, json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { git } from '../repository.ts'
import { Failure } from '../settings.ts'
import { appCommand, at } from './command.ts'
import { appsOf, couplingOf } from './pipeline.ts'
import { gitUrl } from './remote.ts'
import { grid } from './table.ts'

interface Commit {
  sha: string
  date: string
  author: string
  message: string
}

/** How an app is ahead of one of the next stage; `commits` is absent where that cannot be told, and `why` says why. */
interface Lead {
  app: string
  commits?: Commit[]
  why?: string
}

/**
 * What has been released to an app and not yet to those of the next stage. The official CLI asks GitHub for it; here the repositories are the
 * platform's own, and git is asked.
 */
export function registerDiff(program: Program): void {
  appCommand(program, 'pipelines:diff', 'compare the newest release of an app with those of the next stage')
    .option('--json', 'output in json format', false)
    .action(async (options) => diff(await appOf(options), options.json))
}

const ORDER = ['development', 'staging', 'production']

async function diff(app: string, asJson: boolean): Promise<void> {
  const coupling = await couplingOf(app).catch(() => {
    throw new Failure(`This app (${app}) does not seem to be a part of any pipeline`, USAGE)
  })
  const all = await action('Fetching apps from pipeline', () => appsOf(coupling.pipeline.id))
  const next = ORDER.includes(coupling.stage) ? ORDER[ORDER.indexOf(coupling.stage) + 1] : undefined
  if (next === undefined) throw new Failure(`Unable to diff ${app}`, USAGE)
  const others = all.filter(({ pipelineCoupling }) => pipelineCoupling.stage === next).map(({ name }) => name)
  if (others.length === 0) throw new Failure(`Cannot diff ${app} as there are no downstream apps configured`, USAGE)
  const commits = await action('Fetching release info for all apps', async () => {
    const found = await Promise.all([app, ...others].map(async (name) => [name, await released(name)] as const))
    return new Map(found)
  })
  const commit = commits.get(app)
  if (commit === undefined) throw new Failure(`No release was found for ${app}, unable to diff`, USAGE)
  const leads: Lead[] = []
  for (const other of others) leads.push(await lead({ app, commit }, { app: other, commit: commits.get(other) }))
  if (asJson) json(leads)
  else for (const one of leads) show(app, one)
}

interface Release {
  status: string
  slug: { id: string } | null
}

/** The commit of the newest release that succeeded. */
async function released(app: string): Promise<string | undefined> {
  const headers = { range: 'version ..; order=desc' }
  const releases = await ask<Release[]>('GET', at('apps', app, 'releases'), { headers })
  const slug = releases.find(({ status }) => status === 'succeeded')?.slug
  if (!slug) return undefined
  const { commit } = await ask<{ commit: string | null }>('GET', at('apps', app, 'slugs', slug.id))
  return commit ?? undefined
}

interface Ahead {
  app: string
  commit: string
}

async function lead(one: Ahead, other: { app: string; commit: string | undefined }): Promise<Lead> {
  const { app, commit } = other
  if (commit === undefined) return { app, why: `as ${app} does not have any releases` }
  if (commit === one.commit) return { app, commits: [] }
  const names = [one.commit, commit].every((name) => /^[0-9a-f]{7,64}$/.test(name))
  const commits = names ? await between(one, { app, commit }).catch(() => undefined) : undefined
  return commits ? { app, commits } : { app, why: 'because the commits of both are in neither repository' }
}

/** The commits that one has and the other has not, newest first: from the repository of this folder where it has both, else from the apps'. */
async function between(one: Ahead, other: Ahead): Promise<Commit[]> {
  const range = `${other.commit}..${one.commit}`
  return log([], range).catch(() => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-diff-'))
    const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
    return guarded(remove, async () => {
      const here = ['-C', folder, ...(await gitOptions())]
      await git(...here, 'init', '--quiet', '--bare')
      for (const { app } of [one, other])
        await git(...here, 'fetch', '--quiet', await gitUrl(app), `+refs/heads/*:refs/${app}/*`)
      return log(here, range)
    })
  })
}

const FORMAT = '%H%x1f%aI%x1f%an%x1f%s'

async function log(where: string[], range: string): Promise<Commit[]> {
  const text = await git(...where, 'log', `--format=${FORMAT}`, '--end-of-options', range, '--')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [sha = '', date = '', author = '', message = ''] = line.split('\x1f')
      return { sha, date, author, message }
    })
}

function show(app: string, { app: other, commits, why }: Lead): void {
  if (!commits) return say(`\n${app} was not compared to ${other} ${why}`)
  if (commits.length === 0) return say(`\n${app} is up to date with ${other}`)
  say('')
  header(`${app} is ahead of ${other} by ${commits.length} commit${commits.length === 1 ? '' : 's'}`)
  grid(
    {
      SHA: ({ sha }) => sha.slice(0, 7),
      date: ({ date }) => date,
      author: ({ author }) => author,
      message: ({ message }) => message,
    },
    commits,
  )
}
