import { mkdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { alone, folder, writeWhole } from './logins.ts'
import { warn } from './output.ts'
import { platform } from './platform.ts'
import { perhapsGit } from './repository.ts'

/*
 * git asks this command for the password of a platform's repositories (`sluice git:credentials`), and of that platform nobody else, so that
 * no other helper learns the token and keeps it in a file of its own.
 */

/** Where a platform's own authority is kept for the official CLI. */
export const authorityFile = (url: string): string =>
  join(folder(), 'authorities', `${new URL(url).host.replace(/[^\w.-]/g, '_')}.pem`)

/**
 * Where git finds those that it trusts for a platform, which are no others than in this file: so those of everybody are beside its own, as the
 * certificate may come from either.
 */
export async function gitAuthorities(url: string, own: string): Promise<string> {
  const { rootCertificates } = await import('node:tls')
  await mkdir(join(folder(), 'authorities'), { recursive: true, mode: 0o700 })
  const file = gitFile(url)
  await writeWhole(file, [own.trim(), ...rootCertificates, ''].join('\n'))
  return file
}

const gitFile = (url: string): string => authorityFile(url).replace(/pem$/, 'git.pem')

export interface Remote {
  url: string
  git: string
  ca?: string | undefined
}

/** Sets git up for a platform, for all repositories of this person. */
export async function configureGit({ url, git, ca }: Remote): Promise<void> {
  const files = ca === undefined ? [] : [await gitAuthorities(url, ca)]
  if (ca === undefined) await forgetAuthorities(url)
  const [helper, authority] = keysOf(git)
  // the empty one in front puts helpers for all hosts aside
  const done = await alone(async () => [await put(helper, ['', ownHelper()]), await put(authority, files)])
  if (done.includes(false))
    warn('git could not be set up for this platform: it is missing, or ~/.gitconfig cannot be written.')
}

/** Takes it back. */
export async function forgetGit({ url, git }: Remote): Promise<void> {
  await alone(async () => {
    for (const key of keysOf(git)) await put(key, [])
  })
  await forgetAuthorities(url)
}

async function forgetAuthorities(url: string): Promise<void> {
  for (const file of [authorityFile(url), gitFile(url)]) await rm(file, { force: true })
}

const keysOf = (git: string): [string, string] => [`credential.https://${git}.helper`, `http.https://${git}/.sslCAInfo`]

/** Leaves the file alone that has these values already. */
async function put(key: string, values: string[]): Promise<boolean> {
  const read = async () => (await perhapsGit('config', '--global', '--null', '--get-all', key)).split('\0').slice(0, -1)
  if (same(await read(), values)) return true
  await perhapsGit('config', '--global', '--unset-all', key)
  for (const value of values) await perhapsGit('config', '--global', '--add', key, value)
  return same(await read(), values)
}

const same = (a: string[], b: string[]): boolean => a.length === b.length && a.every((value, n) => value === b[n])

/** What git is told on its command line where it is not set up for the platform, or is run beside any repository. */
export async function gitOptions(): Promise<string[]> {
  const { url, git, ca } = await platform()
  const [helper, authority] = keysOf(git)
  const settings = [`${helper}=`, `${helper}=${ownHelper()}`]
  if (ca !== undefined) settings.push(`${authority}=${await gitAuthorities(url, ca)}`)
  return settings.flatMap((setting) => ['-c', setting])
}

/** How git calls this command, wherever it is. */
function ownHelper(): string {
  const [node = '', script = ''] = process.argv
  const quoted = (path: string) => `'${path.replaceAll("'", "'\\''")}'`
  const words = basename(script) === 'sluice' ? [script] : [node, script]
  return `!${words.map(quoted).join(' ')} git:credentials`
}
