import { ask, list } from '../api.ts'
import { Failure } from '../settings.ts'
import { at } from './command.ts'
import { chosen } from './confirm.ts'

export const STAGES = ['review', 'development', 'staging', 'production']

export interface Pipeline {
  id: string
  name: string
  created_at: string
  owner: { id: string; type: 'user' | 'team' } | null
}

export interface Coupling {
  id: string
  stage: string
  app: { id: string }
  pipeline: { id: string; name: string }
}

export interface PipelineApp {
  id: string
  name: string
  owner: { id: string; email: string } | null
  pipelineCoupling: Coupling
}

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/

/** The pipeline of a name or an id; of several with the same name a person chooses one. `missing` is the exit code for none. */
export async function pipelineNamed(name: string, missing = 1): Promise<Pipeline> {
  if (UUID.test(name)) return ask('GET', at('pipelines', name))
  const found = await list<Pipeline>(`/pipelines?eq[name]=${encodeURIComponent(name)}`)
  const [one, other] = found
  if (!one) throw new Failure('Pipeline not found', missing)
  if (!other) return one
  const ids = found.map(({ id }) => id)
  const id = await chosen(
    `Which ${name} pipeline?`,
    ids,
    one.id,
    `There are several pipelines of the name ${name}: give the id of one: ${ids.join(', ')}.`,
  )
  return found.find((pipeline) => pipeline.id === id) ?? one
}

export const couplingOf = (app: string): Promise<Coupling> => ask('GET', at('apps', app, 'pipeline-couplings'))

export async function appsOf(pipeline: string): Promise<PipelineApp[]> {
  const couplings = await list<Coupling>(at('pipelines', pipeline, 'pipeline-couplings'))
  const ids = couplings.map(({ app }) => app.id)
  const apps = await ask<Omit<PipelineApp, 'pipelineCoupling'>[]>('POST', '/filters/apps', {
    body: { in: { id: ids } },
    headers: { accept: 'application/vnd.heroku+json; version=3.filters', range: 'id ..; max=1000;' },
  })
  return apps.flatMap((app) => {
    const coupling = couplings.find((one) => one.app.id === app.id)
    return coupling ? [{ ...app, pipelineCoupling: coupling }] : []
  })
}

const ENDINGS: [RegExp, string][] = [
  [/-(dev|development|uat|tst|test|qa)$/, 'development'],
  [/-(stg|staging)$/, 'staging'],
  [/-(prd|prod|production|admin|demo)$/, 'production'],
]

/** What an app's name says of its pipeline and its stage. */
export function guess(app: string): { name: string; stage: string } {
  const [ending, stage] = ENDINGS.find(([pattern]) => pattern.test(app)) ?? [/$^/, 'production']
  return { name: app.replace(ending, ''), stage }
}
