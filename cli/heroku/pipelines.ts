import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { action, header, json, say, styled, warn } from '../output.ts'
import type { Program } from '../program.ts'
import { attended, question } from '../prompt.ts'
import { Failure } from '../settings.ts'
import { appCommand, at } from './command.ts'
import { chosen, confirm } from './confirm.ts'
import { appsOf, couplingOf, guess, type Pipeline, type PipelineApp, pipelineNamed, STAGES } from './pipeline.ts'
import { registerDiff } from './pipeline-diff.ts'
import { registerPromote } from './promotion.ts'
import { grid } from './table.ts'

export function register(program: Program): void {
  program
    .command('pipelines')
    .description('list the pipelines that you have access to')
    .option('--json', 'output in json format', false)
    .action(async (options) => {
      const all = await list<Pipeline>('/pipelines')
      if (options.json) return json(all)
      header('My Pipelines')
      for (const { name } of all) say(name)
    })
  program
    .command('pipelines:info')
    .description('show the apps of a pipeline')
    .argument('<pipeline>', 'name of the pipeline')
    .option('--with-owners', "show each app's owner", false)
    .option('--json', 'output in json format', false)
    .action(info)
  appCommand(program, 'pipelines:create', 'create a pipeline with a first app')
    .argument('[name]', "name of the pipeline; by default the app's")
    .option('-s, --stage <stage>', `stage of the app: ${STAGES.join(', ')}`)
    .option('-t, --team <team>', 'the team which will own it', process.env.HEROKU_TEAM)
    .action(async (name, options) => create(await appOf(options), name, options))
  appCommand(program, 'pipelines:add', 'add an app to a pipeline')
    .argument('<pipeline>', 'name of the pipeline')
    .option('-s, --stage <stage>', `stage of the app: ${STAGES.join(', ')}`)
    .action(async (pipeline, options) => add(await appOf(options), pipeline, options.stage))
  appCommand(program, 'pipelines:update', "change an app's stage")
    .requiredOption('-s, --stage <stage>', `stage of the app: ${STAGES.join(', ')}`)
    .action(async (options) => {
      const app = await appOf(options)
      await action(`Changing ${app} to ${options.stage}`, async () => {
        const { id } = await couplingOf(app)
        await ask('PATCH', at('pipeline-couplings', id), { body: { stage: options.stage } })
      })
    })
  appCommand(program, 'pipelines:remove', 'remove an app from its pipeline').action(async (options) => {
    const app = await appOf(options)
    await action(`Removing ${app}`, async () => ask('DELETE', at('pipeline-couplings', (await couplingOf(app)).id)))
  })
  program
    .command('pipelines:rename')
    .description('rename a pipeline')
    .argument('<pipeline>', 'name of the pipeline')
    .argument('<name>', 'its new name')
    .action(async (named, name) => {
      const pipeline = await pipelineNamed(named)
      await action(`Renaming ${pipeline.name} pipeline to ${name}`, () =>
        ask('PATCH', at('pipelines', pipeline.id), { body: { name } }),
      )
    })
  program
    .command('pipelines:transfer')
    .description('give a pipeline, with its apps, to another user or team')
    .argument('<owner>', 'mail address of a user, or name of a team')
    .requiredOption('-p, --pipeline <pipeline>', 'name of the pipeline')
    .option('-c, --confirm <pipeline>', 'name of the pipeline, instead of typing it')
    .action(transfer)
  program
    .command('pipelines:destroy')
    .description('destroy a pipeline; its apps stay')
    .argument('<pipeline>', 'name of the pipeline')
    .action(async (named) => {
      const { id, name } = await pipelineNamed(named)
      await action(`Destroying ${name} pipeline`, () => ask('DELETE', at('pipelines', id)))
    })
  registerPromote(program)
  registerDiff(program)
}

async function info(named: string, options: { withOwners: boolean; json: boolean }): Promise<void> {
  const pipeline = await pipelineNamed(named)
  const apps = await appsOf(pipeline.id)
  if (options.json) return json({ pipeline, apps })
  await show(pipeline, apps, options.withOwners)
}

async function show(pipeline: Pipeline, apps: PipelineApp[], withOwners: boolean): Promise<void> {
  header(pipeline.name)
  const owner = await ownerOf(pipeline, apps)
  if (owner !== undefined) say(`owner: ${owner}`)
  say('')
  const order = ['development', 'review', 'staging', 'production']
  const rank = ({ pipelineCoupling }: PipelineApp): number => order.indexOf(pipelineCoupling.stage)
  grid(
    {
      'app name': ({ name }) => styled('magenta', name),
      stage: ({ pipelineCoupling }) => pipelineCoupling.stage,
      ...(withOwners ? { owner: ({ owner }: PipelineApp) => owner && label(owner.email) } : {}),
    },
    apps.toSorted((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1)),
  )
  if (owner === undefined || apps.every((app) => app.owner?.id === pipeline.owner?.id)) return
  say('')
  warn(
    [
      `Some apps in this pipeline do not belong to ${owner}.`,
      '',
      'All apps in a pipeline must have the same owner as the pipeline owner.',
      'Transfer these apps or change the pipeline owner: sluice pipelines:transfer.',
    ].join('\n'),
  )
}

const label = (email: string): string =>
  email.endsWith('@herokumanager.com') ? `${email.split('@')[0]} (team)` : email

async function ownerOf({ owner }: Pipeline, apps: PipelineApp[]): Promise<string | undefined> {
  if (owner === null) return undefined
  if (owner.type === 'team') return `${(await ask<{ name: string }>('GET', at('teams', owner.id))).name} (team)`
  return apps.find((app) => app.owner?.id === owner.id)?.owner?.email ?? owner.id
}

interface Wanted {
  stage?: string | undefined
  team?: string | undefined
}

async function create(app: string, named: string | undefined, { stage: staged, team }: Wanted): Promise<void> {
  const guessed = guess(app)
  const typed = named === undefined && attended() ? await question(`Pipeline name (${guessed.name}): `) : ''
  const name = named ?? (typed.trim() || guessed.name)
  const stage = staged ?? (await stageOf(app))
  const owner = team
    ? { id: (await ask<{ id: string }>('GET', at('teams', team))).id, type: 'team' }
    : { id: (await ask<{ id: string }>('GET', '/account')).id, type: 'user' }
  const pipeline = await action(`Creating ${name} pipeline`, () =>
    ask<Pipeline>('POST', '/pipelines', { body: { name, owner } }),
  )
  await couple(app, pipeline, stage)
}

async function add(app: string, named: string, stage: string | undefined): Promise<void> {
  const pipeline = await pipelineNamed(named)
  await couple(app, pipeline, stage ?? (await stageOf(app)))
}

/** A person is asked; a script gets what the app's name says, as it would by pressing Enter. */
const stageOf = async (app: string): Promise<string> =>
  attended() ? chosen(`Stage of ${app}`, STAGES, guess(app).stage, '') : guess(app).stage

async function couple(app: string, { id, name }: Pipeline, stage: string): Promise<void> {
  await action(`Adding ${app} to ${name} pipeline as ${stage}`, () =>
    ask('POST', '/pipeline-couplings', { body: { app, pipeline: id, stage } }),
  )
}

interface Transfer {
  pipeline: string
  confirm?: string | undefined
}

async function transfer(owner: string, { pipeline: named, confirm: confirmed }: Transfer): Promise<void> {
  const pipeline = await pipelineNamed(named)
  const person = owner.includes('@')
  const { id } = await ask<{ id: string }>('GET', person ? at('users', owner) : at('teams', owner)).catch(() => {
    throw new Failure(`Cannot find a team or account for "${owner}"`)
  })
  const kind = person ? 'account' : 'team'
  if (confirmed === undefined) await show(pipeline, await appsOf(pipeline.id), false)
  await confirm(
    pipeline.name,
    confirmed,
    `This will transfer ${pipeline.name} and all of the listed apps to the ${owner} ${kind}`,
  )
  const body = { new_owner: { id, type: person ? 'user' : 'team' }, pipeline: { id: pipeline.id } }
  await action(`Transferring ${pipeline.name} pipeline to the ${owner} ${kind}`, () =>
    ask('POST', '/pipeline-transfers', { body }),
  )
}
