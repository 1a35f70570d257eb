import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { limits } from '../limits.ts'
import { gitEnvironment, repositoryPath } from './repository.ts'

const run = promisify(execFile)

/** The commit that a branch of an app's repository is at; undefined when there is no such branch, or nothing was pushed yet. */
export async function commitOfBranch(data: string, app: string, branch: string): Promise<string | undefined> {
  // show-ref takes a whole name literally; rev-parse would understand `main~1` and the like.
  if (branch.length > limits.branchName || branch.includes('\0')) return undefined
  const args = ['--git-dir', repositoryPath(data, app), 'show-ref', '--verify', '--hash', `refs/heads/${branch}`]
  return run('git', args, { env: gitEnvironment() }).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  )
}
