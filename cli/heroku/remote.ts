import { existsSync } from 'node:fs'
import { platform } from '../platform.ts'
import { git, remotes, setRemote } from '../repository.ts'

/** The address that `git push` takes for an app. */
export const gitUrl = async (app: string): Promise<string> => `https://${(await platform()).git}/${app}.git`

/** Adds a git remote for an app, unless this folder is no repository or has one of that name. */
export async function addRemote(name: string, app: string): Promise<void> {
  if (!existsSync('.git')) return
  const known = (await git('remote')).split('\n')
  if (!known.includes(name)) await setRemote(name, await gitUrl(app))
}

/** Has the remotes that lead to an app lead to another, or removes them; their names. */
export async function moveRemotes(app: string, other?: string): Promise<string[]> {
  if (!existsSync('.git')) return []
  const names = (await remotes()).filter((remote) => remote.app === app).map(({ name }) => name)
  for (const name of names)
    await (other === undefined ? git('remote', 'remove', name) : setRemote(name, await gitUrl(other)))
  return names
}
