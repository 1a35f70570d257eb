import type { Account } from '../account/account.ts'
import { record } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { applyChanges, checkSize, checkVar, describe } from '../release/config.ts'
import { type DbOrTx, decide } from '../store/database.ts'
import type { Stage } from '../store/schema-pipeline.ts'
import type { Pipeline } from './pipeline.ts'

type Vars = Record<string, string>

/** The config vars that apps made for a stage of the pipeline begin with; review apps do. */
export async function pipelineConfig(
  d: Daemon,
  pipeline: { id: string },
  stage: Stage,
  db: DbOrTx = d.db,
): Promise<Vars> {
  const row = await db
    .selectFrom('pipeline_config_vars')
    .select('config')
    .where('pipeline_id', '=', pipeline.id)
    .where('stage', '=', stage)
    .executeTakeFirst()
  return row ? JSON.parse(d.seal.open(row.config, context(pipeline, stage))) : {}
}

/** Sets (string) and unsets (null) config vars as one decision. Two at once both land. Returns all of the stage after it. */
export async function changePipelineConfig(
  d: Daemon,
  pipeline: Pipeline,
  account: Account,
  { stage, changes }: { stage: Stage; changes: Record<string, string | null> },
): Promise<Vars> {
  for (const [name, value] of Object.entries(changes)) checkVar(name, value)
  return decide(d.db, async (tx) => {
    const there = await tx.selectFrom('pipelines').select('id').where('id', '=', pipeline.id).executeTakeFirst()
    if (!there) throw notFound('pipeline', 'pipeline')
    const { config, set, unset } = applyChanges(await pipelineConfig(d, pipeline, stage, tx), changes)
    checkSize(config)
    if (set.length + unset.length === 0) return config
    const sealed = d.seal.seal(JSON.stringify(config), context(pipeline, stage))
    await tx
      .insertInto('pipeline_config_vars')
      .values({ pipeline_id: pipeline.id, stage, config: sealed })
      .onConflict((conflict) => conflict.columns(['pipeline_id', 'stage']).doUpdateSet({ config: sealed }))
      .execute()
    const text = `${describe(set, unset)} of stage ${stage} of pipeline ${pipeline.name}`
    await record(tx, account, { app: null, text, now: d.clock.now() })
    return config
  })
}

const context = (pipeline: { id: string }, stage: Stage): string => `${pipeline.id}:${stage}`
