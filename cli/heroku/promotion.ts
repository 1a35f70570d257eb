import { setTimeout as pause } from 'node:timers/promises'
import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { json, say, warn } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { appCommand, at } from './command.ts'
import { fields } from './fields.ts'
import { appsOf, couplingOf, type PipelineApp } from './pipeline.ts'
import { printOutput, type Release } from './release.ts'

const ORDER = ['development', 'staging', 'production']
/** Between two looks at a promotion, ms. */
const LOOK = 1000

interface Target {
  status: 'pending' | 'succeeded' | 'failed'
  error_message: string | null
  app: { id: string }
  release: { id: string } | null
}

export function registerPromote(program: Program): void {
  appCommand(program, 'pipelines:promote', 'promote the newest release of an app to those of the next stage')
    .option('-t, --to <apps>', 'names of apps of the pipeline, comma-separated')
    .option('--json', 'output in json format', false)
    .action(async (options) => promote(await appOf(options), options.to, options.json))
}

async function promote(app: string, to: string | undefined, asJson: boolean): Promise<void> {
  const tell = asJson ? () => {} : say
  tell('Fetching app info...')
  const coupling = await couplingOf(app)
  tell(`Fetching apps from ${coupling.pipeline.name}...`)
  const all = await appsOf(coupling.pipeline.id)
  const { targets, label } = to === undefined ? downstream(app, coupling.stage, all) : named(app, to, all)
  tell(`Starting promotion to ${label}...`)
  const { id } = await ask<{ id: string }>('POST', '/pipeline-promotions', {
    body: {
      pipeline: { id: coupling.pipeline.id },
      source: { app: { id: coupling.app.id } },
      targets: targets.map((target) => ({ app: { id: target.id } })),
    },
  })
  tell('Waiting for promotion to complete...')
  if (!asJson) await followCommand(id)
  const ended = await settled(id, (target) => target.status !== 'pending')
  const failed = ended.some(({ status }) => status !== 'succeeded')
  if (asJson) json(ended)
  else report(ended, all, failed)
  if (failed) throw new Failure('')
}

function report(ended: Target[], all: PipelineApp[], failed: boolean): void {
  if (failed) warn('\nPromotion to some apps failed')
  else say('\nPromotion successful')
  fields(
    Object.fromEntries(
      ended.map(({ app, status, error_message }) => [
        all.find(({ id }) => id === app.id)?.name ?? app.id,
        status === 'failed' ? [status, error_message] : [status],
      ]),
    ),
  )
}

interface Plan {
  targets: PipelineApp[]
  label: string
}

function downstream(app: string, stage: string, all: PipelineApp[]): Plan {
  const next = ORDER.includes(stage) ? ORDER[ORDER.indexOf(stage) + 1] : undefined
  if (next === undefined) throw new Failure(`Cannot promote ${app} from '${stage}' stage`)
  const targets = all.filter(({ pipelineCoupling }) => pipelineCoupling.stage === next)
  if (targets.length === 0)
    throw new Failure(`Cannot promote from ${app} as there are no downstream apps in ${next} stage`)
  return { targets, label: next }
}

function named(app: string, to: string, all: PipelineApp[]): Plan {
  const names = to.split(',').filter((name) => name !== '')
  const targets = names.map((name) => {
    if (name === app)
      throw new Failure(`Cannot promote from an app to itself: ${name}. Specify a different target app.`)
    const found = all.find((one) => one.name === name || one.id === name)
    if (!found) throw new Failure(`Cannot find app ${name}`)
    return found
  })
  return { targets, label: `apps: ${names}` }
}

async function settled(id: string, enough: (target: Target) => boolean): Promise<Target[]> {
  for (;;) {
    const targets = await list<Target>(at('pipeline-promotions', id, 'promotion-targets'))
    if (targets.every(enough)) return targets
    await pause(LOOK)
  }
}

/** Shows what the release command of the one target says. */
async function followCommand(id: string): Promise<void> {
  const [target, other] = await settled(id, ({ status, release }) => status !== 'pending' || release !== null)
  if (!target?.release || other || target.status !== 'pending') return
  say('Fetching release info...')
  const release = await ask<Release>('GET', at('apps', target.app.id, 'releases', target.release.id))
  if (!release.output_stream_url) return
  say('Running release command...')
  while (!(await printOutput(release.output_stream_url))) {
    const [now] = await list<Target>(at('pipeline-promotions', id, 'promotion-targets'))
    if (now?.status !== 'pending') return
    await pause(LOOK)
  }
}
