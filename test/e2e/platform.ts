import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Berth, takeBerth } from './berth.ts'
import { type Child, createChild } from './child.ts'
import { type Asked, callApi, createTools, type Reply, requestHost, type Tools } from './client.ts'
import type { Command } from './command.ts'
import { newInstallation, removeInstallation } from './installation.ts'
import type { Ports } from './ports.ts'
import { createSource, type Procfile, type Source, sampleFiles } from './source.ts'
import { type Api, createView, type View } from './view.ts'
import { waitFor } from './wait.ts'

/** A platform, wherever it runs, as its users have it. */
export interface Place extends Tools, View {
  data: string
  ports: Ports
  api: Api
  /** One request to an app, through the router. */
  request(app: string, path?: string, asked?: Asked): Promise<Reply>
  createApp(name: string): Promise<string>
  createSource(files: Record<string, string>): Promise<Source>
  push(source: Source, app: string, refspec?: string): Command
  /** A running app in one call: created, pushed, answering. */
  deploy(app: string, procfile?: Procfile): Promise<Source>
}

/** A daemon and a router of their own, from `dist`, with data, ports and networks that nobody else has. */
export interface Platform extends Place {
  daemon: Child
  router: Child
  /** Starts the daemon and waits until it answers. */
  startDaemon(): Promise<void>
  /** Does what a test file needs before its tests; ends the platform when that fails. */
  prepare<Result>(work: () => Promise<Result>): Promise<Result>
  stop(): Promise<void>
}

/** Boots a platform for one test file; rejects, with what the daemon said, when it does not come up. `settings` are the daemon's. */
export async function startPlatform(settings: NodeJS.ProcessEnv = {}): Promise<Platform> {
  await sweep()
  const data = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`))
  const home = await mkdtemp(join(tmpdir(), 'sluice-home-'))
  const installation = newInstallation()
  await writeFile(join(data, INSTALLATION), installation)
  const berth = await takeBerth(installation)
  const { ports } = berth
  const env = { ...process.env, ...settingsOf(data, berth), ...settings }
  const daemon = createChild('daemon/main.js', env)
  const router = createChild('router/main.js', env)
  const sources: Source[] = []
  let tools: Tools | undefined
  const stop = async () => {
    tools?.close()
    await Promise.all([router.kill(), daemon.kill()])
    await berth.leave(() => removeInstallation(installation))
    await rm(data, { recursive: true, force: true, maxRetries: 5 })
    for (const source of sources) await source.remove()
    await rm(home, { recursive: true, force: true })
  }
  process.on('exit', (code) => {
    if (code !== 0) process.stderr.write(`\n-- daemon --\n${tail(daemon.log())}\n-- router --\n${tail(router.log())}\n`)
  })
  try {
    const answers = () => ready(ports.api, data, daemon)
    daemon.start()
    const token = await answers()
    router.start()
    await waitFor('the router to answer', () => requestHost(ports.http, 'localhost', '/'))
    tools = await createTools({ port: ports.api, token, data, home })
    const startDaemon = async () => {
      daemon.start()
      await answers()
    }
    return {
      ...withApps({ data, ports, ...tools }, token, sources),
      ...{ daemon, router, startDaemon, stop },
      prepare: (work) =>
        work().catch(async (error: unknown) => {
          await stop()
          throw error
        }),
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** What tests do with apps, by the shortest way. Whoever ends the platform removes what is in `sources`. */
export function withApps(parts: Tools & { data: string; ports: Ports }, token: string, sources: Source[]): Place {
  const { ports, git } = parts
  const api: Api = (method, path, body) => callApi({ port: ports.api, token }, method, path, body)
  const newSource = async (files: Record<string, string>) => {
    const source = await createSource(git, files)
    sources.push(source)
    return source
  }
  const createApp = async (name: string) => (await api<{ name: string }>('POST', '/apps', { name })).name
  const push: Platform['push'] = (source, app, refspec = 'main') =>
    git(source.dir, 'push', `https://localhost:${ports.api}/${app}.git`, refspec)
  return {
    ...parts,
    ...createView(api, parts.data),
    api,
    request: (app, path = '/', asked) => requestHost(ports.http, `${app}.localhost`, path, asked),
    createApp,
    createSource: newSource,
    push,
    async deploy(app, procfile) {
      await createApp(app)
      const source = await newSource(sampleFiles(procfile))
      const { code, output } = await push(source, app)
      if (code !== 0) throw new Error(`the push to ${app} failed:\n${output}`)
      return source
    },
  }
}

const PREFIX = 'sluice-e2e-'
/** Where the daemon keeps the name of its installation, and takes the one that is there. */
const INSTALLATION = 'installation'

/** A test that was killed at its deadline could not clean up; the next one does. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = name.startsWith(PREFIX) && name.slice(PREFIX.length).split('-')[0]
    if (!pid || existsSync(`/proc/${pid}`)) continue
    const data = join(tmpdir(), name)
    const installation = await readFile(join(data, INSTALLATION), 'utf8').catch(() => '')
    if (installation !== '') await removeInstallation(installation)
    await rm(data, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** The daemon's and the router's. */
export function settingsOf(data: string, { ports, pool }: Berth): Record<string, string> {
  return {
    SLUICE_DATA: data,
    SLUICE_PORT: String(ports.api),
    SLUICE_HTTP_PORT: String(ports.http),
    SLUICE_TLS_PORT: String(ports.tls),
    SLUICE_EXEC_HOST: `127.77.${ports.api >> 8}.${ports.api & 255 || 1}`,
    SLUICE_ROUTER_HOST: '127.0.0.1',
    SLUICE_ROUTER_STATUS_PORT: '0',
    // tests ask again and again instead of waiting
    SLUICE_RATE_LIMIT: '1000000',
    SLUICE_NETWORK_POOL: pool,
    SLUICE_BUILDPACK_REGISTRY: 'none',
    // whatever else is on this machine's disk
    SLUICE_DISK: '100%',
  }
}

/** The administrator's token, once the API takes it. */
const ready = (port: number, data: string, daemon: Child): Promise<string> =>
  waitFor(
    'the daemon to answer',
    async () => {
      if (!daemon.running) throw new Error(`the daemon ended: ${tail(daemon.log())}`)
      const token = (await readFile(join(data, 'admin.token'), 'utf8')).trim()
      await callApi({ port, token }, 'GET', '/account')
      return token
    },
    { within: 60_000 },
  )

const tail = (log: string): string => log.split('\n').slice(-60).join('\n')
