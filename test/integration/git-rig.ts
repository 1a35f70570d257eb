import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { extract } from 'tar-stream'
import { accountNamed } from '../../daemon/account/account.ts'
import { type App, createApp } from '../../daemon/app/app.ts'
import { UserError } from '../../daemon/errors.ts'
import { createGit } from '../../daemon/git/git.ts'
import type { Deploy, DeployRequest } from '../../daemon/git/push.ts'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { createServer } from '../../daemon/server.ts'
import { type Host, startHost } from '../api/host.ts'
import { type Command, run } from '../e2e/command.ts'
import { freePort } from '../e2e/ports.ts'

/** What a push brought to the stub that stands for a deploy. */
export interface Deployed {
  app: string
  version: string
  sourceKey: string
  files: Record<string, string>
  /** The archive itself. */
  tar: Buffer
}

/** Git over the real server, hook and repositories; only the deploy is a stub. */
export interface Rig {
  host: Host
  app: App
  port: number
  url: string
  ca: string
  deployed: Deployed[]
  /** What the next deploys do once the archive was read; the default accepts. */
  behave(deploy: (request: DeployRequest) => Promise<void>): void
  /** What the daemon does first when it stops. */
  stopGit(): Promise<void>
  /** A working copy with one commit. */
  copy(): Promise<Copy>
  close(): Promise<void>
}

export interface Copy {
  path: string
  git(...args: string[]): Command
  commit(files: Record<string, string>): Promise<string>
}

const accept = async ({ output }: DeployRequest): Promise<void> => output('-----> Deployed\n')

/** `stall`: ms after which a client that reads nothing is let go. */
export async function startRig({ stall }: { stall?: number } = {}): Promise<Rig> {
  const host = await startHost()
  const home = await mkdtemp(join(tmpdir(), 'sluice-git-'))
  const admin = await accountNamed(host.d.db, 'admin@example.com')
  if (!admin) throw new Error('the administrator is missing')
  const app = await createApp(host.d, admin, { name: 'sample' })
  const deployed: Deployed[] = []
  let behaviour = accept
  const deploy: Deploy = async (request) => {
    const { version, sourceKey } = request
    const tar = await buffer(request.archive)
    deployed.push({ app: request.app.name, version, sourceKey, files: await unpack(tar), tar })
    await behaviour(request)
  }
  const config = {
    ...host.d.config,
    api: { hosts: ['127.0.0.1'], port: await freePort() },
    // Submodules come from here.
    drainAllow: { hosts: [], networks: ['127.0.0.1'] },
  }
  const tls = await ensureCertificates(config)
  const git = await createGit({ ...host.d, config }, deploy, stall)
  const api = (_: unknown, res: { end(): void }) => res.end()
  const doors = {
    git: git.handle,
    registry: () => false,
    routers: () => {},
    rendezvous: () => {},
    attach: () => {},
    tunnel: () => {},
  }
  const parts = { api, ...doors, routerToken: 'router', tls, log: host.d.log }
  const server = createServer(parts, config)
  await server.listen()
  const env = environment(home, host, config.api.port)
  return {
    host,
    app,
    port: config.api.port,
    url: `https://localhost:${config.api.port}/sample.git`,
    ca: join(config.data, 'tls', 'ca.pem'),
    deployed,
    behave(deploys) {
      behaviour = deploys
    },
    stopGit: () => git.close(),
    copy: () => makeCopy(home, env),
    async close() {
      await Promise.all([server.close(), git.close()])
      await host.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** The user's git: nothing of this machine's settings, the platform's CA and token. */
const environment = (home: string, { d, token }: Host, port: number): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: home,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_SSL_CAINFO: join(d.config.data, 'tls', 'ca.pem'),
  ...settings({
    'user.name': 'A',
    'user.email': 'a@example.com',
    'init.defaultBranch': 'main',
    [`credential.https://localhost:${port}.helper`]: `!f() { echo username=heroku; echo password=${token}; }; f`,
  }),
})

const settings = (values: Record<string, string>): Record<string, string> =>
  Object.fromEntries([
    ['GIT_CONFIG_COUNT', String(Object.keys(values).length)],
    ...Object.entries(values).flatMap(([key, value], n) => [
      [`GIT_CONFIG_KEY_${n}`, key],
      [`GIT_CONFIG_VALUE_${n}`, value],
    ]),
  ])

async function makeCopy(home: string, env: NodeJS.ProcessEnv): Promise<Copy> {
  const path = await mkdtemp(join(home, 'copy-'))
  const git = (...args: string[]): Command => run(['git', ...args], { cwd: path, env, timeout: 60_000 })
  const copy: Copy = {
    path,
    git,
    async commit(files) {
      for (const [name, text] of Object.entries(files)) {
        await mkdir(join(path, name, '..'), { recursive: true })
        await writeFile(join(path, name), text)
      }
      await git('add', '-A')
      await git('commit', '-q', '--allow-empty', '-m', 'change')
      return (await git('rev-parse', 'HEAD')).stdout.trim()
    },
  }
  await git('init', '-q')
  await copy.commit({ 'index.js': 'hello', 'lib/deep.js': 'deep' })
  return copy
}

async function unpack(tar: Buffer): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  const entries = Readable.from([tar]).pipe(extract())
  for await (const entry of entries)
    if (entry.header.type === 'file') files[entry.header.name] = (await buffer(entry)).toString('latin1')
    else entry.resume()
  return files
}

export const refused = (why: string): UserError => new UserError('invalid_params', why)

/** Ids of processes whose command line has this text. */
export const processes = (text: string): Promise<string[]> =>
  new Promise((resolve) => execFile('pgrep', ['-f', text], (_, out) => resolve(out.split('\n').filter(Boolean))))
