import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { exportsFor } from './env.ts'
import type { Program } from './program.ts'
import { adminToken, apiUrl, Failure, packageRoot, settings } from './settings.ts'
import { startDetached, stop } from './start.ts'

const APP = 'demo'
const url = `http://${APP}.${settings.domain}:${settings.httpPort}/`

export function register(program: Program): void {
  program
    .command('demo')
    .description('create an app, push a sample, request it')
    .option('--stop', 'end the platform that the demo has started', false)
    .action(({ stop }) => (stop ? stopDemo() : demo()))
}

/** The whole story on one screen: platform, app, push, request, and what to try next. */
async function demo(): Promise<void> {
  const began = Date.now()
  await timed('Starting the platform', startDetached)
  const run = runner({ ...process.env, ...(await exportsFor(process.env)) })
  const folder = await sampleRepository(run)
  await timed('Creating the app', () => createApp(run, folder))
  const pushed = await timed('Pushing with git', () => run('git', ['push', 'heroku', 'HEAD:refs/heads/main'], folder))
  const answered = await timed(`Requesting ${url}`, requestApp)
  say(['', answered.text.trim(), ''])
  say([
    `Your app is at ${url}`,
    `From push to live ${seconds(pushed.took)}, answered in ${answered.took} ms, ${seconds(Date.now() - began)} in all.`,
    '',
    'Try next, in a shell of your own:',
    '  eval "$(npm run -s env)"',
    `  cd ${folder}`,
    '  heroku config:set GREETING="Good evening"      # a new release without a build, no request fails',
    '  heroku ps:scale web=3 && heroku ps',
    '  heroku run bash                                # a shell in a dyno of its own; leave with exit',
    '  heroku logs --tail',
    '  heroku releases && heroku rollback',
    '  npm run demo -- --stop                          # ends the platform (from the checkout)',
    '',
  ])
}

/** Ends the platform. The demo's app stays on disk, and its dynos run on, as those of any app do when the platform is down. */
async function stopDemo(): Promise<void> {
  const stopped = await stop()
  say([
    stopped
      ? 'The platform has ended. Dynos run on without it until it is started again.'
      : 'The platform was not running.',
  ])
  say(['Everything is kept below the data folder; `npm run demo` or `npm start` goes on from there.'])
}

type Run = (command: string, args: string[], cwd: string) => Promise<void>

/** Runs a command with its output on this terminal; rejects when it fails. */
const runner =
  (env: NodeJS.ProcessEnv): Run =>
  (command, args, cwd) =>
    new Promise((resolve, reject) => {
      process.stdout.write(`$ ${command} ${args.join(' ')}\n`)
      const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'] })
      child.on('error', reject)
      child.on('exit', (code) =>
        code === 0 ? resolve() : reject(new Failure(`${command} ${args[0]} failed; its reason is above.`)),
      )
    })

/** A repository with the sample app; a repeated demo pushes one more, empty commit. */
async function sampleRepository(run: Run): Promise<string> {
  const folder = join(settings.data, 'demo')
  const again = existsSync(join(folder, '.git'))
  const identity = ['-c', 'user.name=Sluice demo', '-c', 'user.email=demo@sluice.localhost']
  if (!again) {
    await mkdir(folder, { recursive: true })
    await cp(join(packageRoot, 'test/apps/node-hello'), folder, { recursive: true })
    await run('git', ['init', '--quiet', '--initial-branch=main'], folder)
    await run('git', ['add', '.'], folder)
  }
  const message = again ? ['--allow-empty', '-m', 'Once more'] : ['-m', 'First']
  await run('git', [...identity, 'commit', '--quiet', ...message], folder)
  return folder
}

async function createApp(run: Run, folder: string): Promise<void> {
  if (await appExists()) await run('heroku', ['git:remote', '--app', APP], folder)
  else await run('heroku', ['create', APP], folder)
}

async function appExists(): Promise<boolean> {
  const headers = { authorization: `Bearer ${await adminToken()}`, accept: 'application/vnd.heroku+json; version=3' }
  const { status } = await fetch(`${apiUrl}/apps/${APP}`, { headers, signal: AbortSignal.timeout(30_000) })
  if (status !== 200 && status !== 404) throw new Failure(`The API answered ${status} when asked for the app ${APP}.`)
  return status === 200
}

/** Asks the router by the app's name, which not every resolver takes for this host. */
async function requestApp(): Promise<string> {
  const host = `${APP}.${settings.domain}`
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ host: 'localhost', port: settings.httpPort, headers: { host }, timeout: 30_000 }, resolve)
      .on('timeout', () => reject(new Failure(`The router at port ${settings.httpPort} gave no answer in 30 seconds.`)))
      .on('error', reject)
  })
  const text = Buffer.concat(await response.toArray()).toString()
  if (response.statusCode !== 200)
    throw new Failure(`The app answered ${response.statusCode}. Look at its log: heroku logs --app ${APP}`)
  return text
}

async function timed<T>(title: string, work: () => Promise<T>): Promise<{ text: string; took: number }> {
  say([`==> ${title}`])
  const began = Date.now()
  const result = await work()
  return { text: typeof result === 'string' ? result : '', took: Date.now() - began }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

const say = (lines: string[]): void => void process.stdout.write(lines.map((line) => `${line}\n`).join(''))
