import { Option } from '@commander-js/extra-typings'
import { missingFlag, USAGE } from './command.ts'
import { perhapsGit, remotes } from './repository.ts'
import { Failure } from './settings.ts'

/*
 * Which app a command is for, as in the official CLI: --app, --remote, HEROKU_APP, or the one git remote of this folder that is the
 * platform's (`git config heroku.remote` chooses among several).
 */

export const appOption = new Option('-a, --app <app>', 'app to run command against')
export const remoteOption = new Option('-r, --remote <remote>', 'git remote of app to use')

export interface AppChoice {
  app?: string | undefined
  remote?: string | undefined
}

/** The app's name; a Failure says how to name it when it cannot be told. */
export async function appOf(choice: AppChoice): Promise<string> {
  const app = await perhapsAppOf(choice)
  if (app === undefined) throw new Failure(missingFlag('app'), USAGE)
  return app
}

/** The same for commands that do without. */
export async function perhapsAppOf({ app, remote }: AppChoice): Promise<string | undefined> {
  if (app) return app
  if (process.env.HEROKU_APP && !remote) return process.env.HEROKU_APP
  const wanted = remote ?? (await perhapsGit('config', 'heroku.remote'))
  const found = (await remotes()).filter(({ name }) => !wanted || name === wanted)
  if (remote && found.length === 0) throw new Failure(`remote ${remote} not found in git remotes`)
  const [one, other] = found
  if (other)
    throw new Failure(
      [
        'Multiple apps in git remotes',
        `  Usage: --remote ${other.name}`,
        `     or: --app ${other.app}`,
        '  Your local git repository has more than 1 app referenced in git remotes.',
        "  Because of this, we can't determine which app you want to run this command against.",
        '  Specify the app you want with --app or --remote.',
        '  Remotes in repo:',
        ...found.map(({ app, name }) => `  ${app} (${name})`),
      ].join('\n'),
    )
  return one?.app
}
