import type { Account } from '../account/account.ts'
import { requestTransfer } from '../app/transfer.ts'
import type { Daemon } from '../daemon.ts'
import { appsIn, type Owner, type Pipeline, parseOwner, passPipeline, requireOwner } from './pipeline.ts'

/**
 * Gives a pipeline, and those of its apps that are its owner's, to another owner. It is with apps as without a pipeline: the team has them at
 * once, an account is offered them and takes them or not. Apps first, and those that are offered already not again, so that who was
 * interrupted asks again and nothing is left behind.
 */
export async function transferPipeline(d: Daemon, pipeline: Pipeline, account: Account, to: Owner): Promise<Pipeline> {
  requireOwner(pipeline, account)
  const owner = await parseOwner(d.db, to)
  if (owner.owner_id === pipeline.owner_id) return pipeline
  const offers = await d.db
    .selectFrom('app_transfers')
    .select('app_id')
    .where('state', '=', 'pending')
    .where('recipient_id', '=', owner.owner_id)
    .execute()
  const offered = new Set(offers.map(({ app_id }) => app_id))
  for (const app of await appsIn(d, account))
    if (app.pipeline_id === pipeline.id && app.owner_id === pipeline.owner_id && !offered.has(app.id))
      await requestTransfer(d, app, account, owner.owner_id)
  return passPipeline(d, pipeline, account, owner)
}
