import { execFile, spawn } from 'node:child_process'
import { platform } from './platform.ts'
import { Failure } from './settings.ts'

/*
 * git in this folder: which remotes are the platform's, and a new one.
 */

/** What git prints; a Failure says what it said against it. */
export function git(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('git', args, (error, stdout, stderr) => {
      if (!error) resolve(stdout.trim())
      else if (error.code === 'ENOENT')
        reject(new Failure('Git must be installed to use this. See https://git-scm.com'))
      else reject(new Failure(stderr.trim() || `git ${args[0]} failed.`))
    })
  })
}

/** The same, and nothing where it fails, or there is none. */
export const perhapsGit = (...args: string[]): Promise<string> => git(...args).catch(() => '')

/** Runs git on this terminal and resolves with its exit code. */
export function runGit(...args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { stdio: 'inherit' })
    child.on('error', () => reject(new Failure('Git must be installed to use this. See https://git-scm.com')))
    child.on('close', (code) => resolve(code ?? 1))
  })
}

/** The remotes of this folder whose URL is one of the platform's repositories. */
export async function remotes(): Promise<{ name: string; app: string }[]> {
  const { git: host } = await platform()
  const lines = (await perhapsGit('remote', '-v')).split('\n').filter((line) => line.endsWith('(push)'))
  return lines.flatMap((line) => {
    const [name = '', url = ''] = line.split(/\s+/)
    const app = appOfUrl(url, host)
    return app === undefined ? [] : [{ name, app }]
  })
}

const appOfUrl = (url: string, host: string): string | undefined =>
  URL.canParse(url) && new URL(url).host === host ? /^\/([^/]+?)(\.git)?$/.exec(new URL(url).pathname)?.[1] : undefined

/** The remote's name that this folder is set to, or Heroku's. */
export const defaultRemote = async (): Promise<string> => (await perhapsGit('config', 'heroku.remote')) || 'heroku'

/** Points a remote at a repository, made or not; resolves with the URL that it then has. */
export async function setRemote(name: string, url: string, ...more: string[]): Promise<string> {
  if (name.startsWith('-')) throw new Failure(`${name} is no name of a remote.`)
  const known = (await git('remote')).split('\n').includes(name)
  await git('remote', known ? 'set-url' : 'add', ...more, name, url)
  return git('remote', 'get-url', name)
}
