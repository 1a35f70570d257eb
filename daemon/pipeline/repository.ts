import type { Account } from '../account/account.ts'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { commitOfBranch } from '../git/branch.ts'
import { type Coupling, listCouplings } from './coupling.ts'
import type { Pipeline } from './pipeline.ts'

/** Whose code a pipeline's is: pushed to one app, promoted to the others. */
const ORDER = ['staging', 'development', 'production']

/**
 * The app whose git repository is the pipeline's: its staging app, else its development app, else its production app; of several the first
 * by name that the account may see. Branches that were pushed there count, deployed or not.
 */
export async function repositoryOrNone(d: Daemon, account: Account, pipeline: Pipeline): Promise<Coupling | undefined> {
  const couplings = await listCouplings(d.db, account, { pipeline: pipeline.id })
  const [first] = ORDER.flatMap((stage) => couplings.filter((coupling) => coupling.stage === stage))
  return first
}

/** Throws 404 when there is none. */
export async function repositoryOf(d: Daemon, account: Account, pipeline: Pipeline): Promise<Coupling> {
  const repository = await repositoryOrNone(d, account, pipeline)
  if (!repository) throw notFound('repository: no app of the pipeline is in one of its stages that you can see', 'repo')
  return repository
}

/** A branch of the pipeline's repository, and where it is. Throws 404 when it was never pushed. */
export async function findBranch(
  d: Daemon,
  account: Account,
  { pipeline, branch }: { pipeline: Pipeline; branch: string },
): Promise<{ repository: Coupling; commit: string }> {
  const repository = await repositoryOf(d, account, pipeline)
  const commit = await commitOfBranch(d.config.data, repository.app_id, branch)
  if (commit === undefined) throw notFound(`branch. Push it to ${repository.app} first`, 'branch')
  return { repository, commit }
}
