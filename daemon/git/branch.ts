import { execFile, spawn } from 'node:child_process'
import { PassThrough, type Readable } from 'node:stream'
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

/** A tar of a commit's files, as a push of it would send them, and the id of its tree. */
export async function openCommit(
  data: string,
  app: string,
  commit: string,
): Promise<{ archive: Readable; key: string }> {
  const git = ['--git-dir', repositoryPath(data, app)]
  const env = gitEnvironment()
  const { stdout } = await run('git', [...git, 'rev-parse', '--verify', `${commit}^{tree}`], { env })
  const archive = new PassThrough()
  const child = spawn('git', [...git, 'archive', '--format=tar', commit], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  child.stdout.pipe(archive, { end: false })
  child.on('error', (error) => archive.destroy(error))
  child.on('close', (code) =>
    code === 0 ? archive.end() : archive.destroy(new Error(`git archive ended with ${code}`)),
  )
  archive.on('close', () => child.kill())
  return { archive, key: stdout.trim() }
}
