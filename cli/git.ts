import { text } from 'node:stream/consumers'
import { ask } from './api.ts'
import { configureGit } from './credentials.ts'
import { readLogins } from './logins.ts'
import { say, styled } from './output.ts'
import { platform } from './platform.ts'
import type { Program } from './program.ts'
import { defaultRemote, runGit, setRemote } from './repository.ts'
import { Failure } from './settings.ts'
import { examples } from './usage.ts'

interface App {
  name: string
  git_url: string
}

export function register(program: Program): void {
  program
    .command('git:remote')
    .description('adds a git remote to an app repo\nextra arguments will be passed to git remote add')
    .argument('[words...]', 'the app, when there is no --app; then words for git remote')
    .option('-a, --app <app>', 'the app to use')
    .option('-r, --remote <remote>', 'the git remote to create')
    .addHelpText(
      ...examples('$ sluice git:remote -a example', '$ sluice git:remote --remote staging -a example-staging'),
    )
    .action(remote)
  program
    .command('git:clone')
    .description('clones an app to your local machine at DIRECTORY (defaults to app name)')
    .argument('[directory]', 'where to clone the app')
    .option('-a, --app <app>', 'the app to use')
    .option('-r, --remote <remote>', 'the git remote to create', 'heroku')
    .addHelpText(...examples('$ sluice git:clone -a example'))
    .action(clone)
  program
    .command('git:credentials', { hidden: true })
    .description('answers git when it asks for the password of a repository')
    .argument('<operation>', 'get, store or erase')
    .action(credentials)
}

async function remote(words: string[], choice: { app?: string; remote?: string }): Promise<void> {
  const [name, ...more] = choice.app ? [choice.app, ...words] : words
  const { git_url } = await find(name)
  const remote = choice.remote ?? (await defaultRemote())
  const url = await setRemote(remote, git_url, ...more)
  say(`set git remote ${styled('cyan', remote)} to ${styled('cyan', url)}`)
  await configure()
}

async function clone(directory: string | undefined, choice: { app?: string; remote: string }): Promise<void> {
  const { name, git_url } = await find(choice.app)
  await configure()
  const code = await runGit('clone', '-o', choice.remote, '--', git_url, directory ?? name)
  if (code !== 0) throw new Failure(`${git_url} was not cloned; git's reason is above.`, code)
}

async function find(name: string | undefined): Promise<App> {
  const app = name ?? process.env.HEROKU_APP
  if (!app) throw new Failure('Specify an app with --app')
  return ask<App>('GET', `/apps/${encodeURIComponent(app)}`)
}

/** The environment's token is the environment's business, and `sluice env` sets git up for that. */
async function configure(): Promise<void> {
  const { url } = await platform()
  const known = (await readLogins()).platforms[url]
  if (known) await configureGit({ url, ...known })
}

/** git-credential(1): lines `key=value` come and go. Silent about hosts that are not a platform's. */
async function credentials(operation: string): Promise<void> {
  if (operation === 'store' || operation === 'erase') return
  if (operation !== 'get') throw new Failure(`unknown command: ${operation}`)
  const asked = new Map((await text(process.stdin)).split('\n').map((line) => line.split('=', 2) as [string, string]))
  if (asked.get('protocol') !== 'https') return
  const host = asked.get('host') ?? ''
  const token = await tokenFor(host)
  if (token !== undefined) say(`protocol=https\nhost=${host}\nusername=heroku\npassword=${token}`)
}

async function tokenFor(host: string): Promise<string | undefined> {
  const known = Object.entries((await readLogins()).platforms).find(([, { git }]) => git === host)
  if (known?.[1].token) return known[1].token
  const here = await platform().catch(() => undefined)
  if (here?.git === host) return here.token
  if (known) throw new Failure(`not logged in to ${known[0]}. Run: sluice login ${known[0]}`)
  return undefined
}
