import { setTimeout as pause } from 'node:timers/promises'
import { Option } from '@commander-js/extra-typings'
import { ask, Refused } from '../api.ts'
import { action, say, warn } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { at } from './command.ts'
import { pipelineNamed } from './pipeline.ts'

interface ReviewApp {
  id: string
  status: string
  message?: string | null
  error_status?: string | null
  app: { id: string } | null
}

export function register(program: Program): void {
  ofPipeline(program, 'reviewapps:enable', 'have review apps in a pipeline, or change their settings')
    .option('--autodestroy', 'destroy review apps that nothing was pushed to for days', false)
    .option('--autodeploy', 'needs the pull requests of GitHub, which this platform does not ask', false)
    .option('--wait-for-ci', 'needs CI, which there is not', false)
    .action(enable)
  ofPipeline(program, 'reviewapps:disable', 'have no review apps in a pipeline, or change their settings')
    .option('--no-autodestroy', 'destroy no review apps by themselves')
    .option('--no-autodeploy', 'deploy none by themselves: none is')
    .option('--no-wait-for-ci', 'wait for no CI: there is none')
    .action(disable)
  program
    .command('reviewapps:create')
    .description("create a review app from a branch of the pipeline's repository")
    .requiredOption('-b, --branch <branch>', 'branch to create the review app from')
    .requiredOption('-p, --pipeline <pipeline>', 'name of pipeline')
    .option('--wait', 'watch it being created, and exit when it is complete', false)
    .option('--wait-interval <seconds>', 'how frequently to look, with --wait')
    .action(create)
  program
    .command('reviewapps:wait')
    .description('wait for a review app to be created')
    .argument('<app>', 'name or ID of the app')
    .option('--wait-interval <seconds>', 'how frequently to look')
    .action(async (app, { waitInterval }) => {
      const path = at('apps', app, 'review-app')
      await finished(await ask<ReviewApp>('GET', path), path, intervalOf(waitInterval))
    })
}

const ofPipeline = (program: Program, name: string, description: string) =>
  program
    .command(name)
    .description(description)
    .requiredOption('-p, --pipeline <pipeline>', 'name of pipeline')
    .addOption(new Option('-a, --app <app>', 'no longer needed'))
    .addOption(new Option('-r, --remote <remote>', 'no longer needed'))

interface Which {
  pipeline: string
  app?: string | undefined
  remote?: string | undefined
}

interface Settings {
  automatic_review_apps?: boolean
  destroy_stale_apps?: boolean
  wait_for_ci?: boolean
}

async function enable(
  options: Which & { autodestroy: boolean; autodeploy: boolean; waitForCi: boolean },
): Promise<void> {
  warnOfApp(options)
  const settings: Settings = {}
  if (options.autodeploy) {
    say('Enabling auto deployment...')
    settings.automatic_review_apps = true
  }
  if (options.autodestroy) {
    say('Enabling auto destroy...')
    settings.destroy_stale_apps = true
  }
  if (options.waitForCi) {
    say('Enabling wait for CI...')
    settings.wait_for_ci = true
  }
  await configure(options.pipeline, settings, 'POST')
}

async function disable(
  options: Which & { autodestroy: boolean; autodeploy: boolean; waitForCi: boolean },
): Promise<void> {
  warnOfApp(options)
  const settings: Settings = {}
  if (!options.autodeploy) {
    say('Disabling auto deployment...')
    settings.automatic_review_apps = false
  }
  if (!options.autodestroy) {
    say('Disabling auto destroy...')
    settings.destroy_stale_apps = false
  }
  if (!options.waitForCi) {
    say('Disabling wait for CI...')
    settings.wait_for_ci = false
  }
  await configure(options.pipeline, settings, 'DELETE')
}

function warnOfApp({ app, remote }: Which): void {
  if (app ?? remote) warn('Specifying an app via --app or --remote is no longer needed with Review Apps')
}

/** Settings are changed where some are given; else review apps begin or end. */
const configure = (named: string, settings: Settings, otherwise: 'POST' | 'DELETE'): Promise<void> =>
  action('Configuring pipeline', async () => {
    const { id } = await pipelineNamed(named)
    const path = at('pipelines', id, 'review-app-config')
    if (Object.keys(settings).length > 0) await ask('PATCH', path, { body: settings })
    else await ask(otherwise, path, otherwise === 'POST' ? { body: {} } : {})
  })

interface Wanted {
  branch: string
  pipeline: string
  wait: boolean
  waitInterval?: string | undefined
}

async function create({ branch, pipeline: named, wait, waitInterval }: Wanted): Promise<void> {
  const interval = intervalOf(waitInterval)
  const pipeline = await pipelineNamed(named)
  const created = await action(`Creating review app from ${branch}`, async () => {
    await ask('GET', at('pipelines', pipeline.id, 'repo', 'branches', branch)).catch((error: unknown) => {
      if (!(error instanceof Refused && error.status === 404)) throw error
      throw new Failure(`The branch ${branch} doesn't exist. Make sure the branch is correct and try again.`)
    })
    // the branch as the pipeline's repository has it
    const source_blob = { url: 'resolve', version: null }
    return ask<ReviewApp>('POST', '/review-apps', { body: { branch, pipeline: pipeline.id, source_blob } })
  })
  if (created.message) say(created.message)
  requireGood(created)
  const path = at('review-apps', created.id)
  if (wait) return finished(created, path, interval)
  const app = await action(BUILDING, async (tell) => {
    const made = await until(created, path, interval, ({ app }) => app !== null)
    tell('')
    return made.app && ask<{ name: string }>('GET', at('apps', made.app.id))
  })
  if (app) say(`Run sluice reviewapps:wait ${app.name} to check progress.`)
  else say(`Review app for ${branch} is being created in the background.`)
}

const BUILDING = 'Review app is building and will be ready when complete'
const PROGRESSING = ['creating', 'deleting', 'pending']
/** Seconds. */
const INTERVAL = 5

const intervalOf = (text: string | undefined): number => {
  const seconds = Number.parseInt(text ?? '', 10)
  return seconds > 0 ? seconds : INTERVAL
}

/** Looks again, every so many seconds, until it is as wanted or makes no progress any more. */
async function until(
  reviewApp: ReviewApp,
  path: string,
  interval: number,
  wanted: (now: ReviewApp) => boolean,
): Promise<ReviewApp> {
  let now = reviewApp
  while (PROGRESSING.includes(now.status) && !wanted(now)) {
    await pause(interval * 1000)
    now = await ask<ReviewApp>('GET', path)
  }
  return now
}

async function finished(reviewApp: ReviewApp, path: string, interval: number): Promise<void> {
  if (!PROGRESSING.includes(reviewApp.status)) return requireGood(reviewApp)
  await action(BUILDING, async () => requireGood(await until(reviewApp, path, interval, () => false)))
}

function requireGood({ status, message, error_status }: ReviewApp): void {
  if (status === 'errored') throw new Failure(message || error_status || 'Failed to create the review app.')
}
