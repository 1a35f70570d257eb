import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Child, createChild } from './child.ts'
import { type Asked, callApi, createTools, type Reply, requestHost, type Tools } from './client.ts'
import type { Command } from './command.ts'
import { appLabel, type Container, idLabel, listContainers, removeInstallation } from './engine.ts'
import { createSource, type Procfile, type Source, sampleFiles } from './source.ts'
import { waitFor } from './wait.ts'

export interface Release {
  id: string
  version: number
  description: string
  status: 'pending' | 'succeeded' | 'failed'
  current: boolean
}

export interface Dyno {
  id: string
  name: string
  type: string
  state: string
  release: { version: number }
}

/** A daemon and a router of their own, from `dist`, with data, ports and networks that nobody else has. */
export interface Platform extends Tools {
  data: string
  ports: { api: number; http: number; tls: number }
  daemon: Child
  router: Child
  /** Starts the daemon and waits until it answers. */
  startDaemon(): Promise<void>
  api<Answer = unknown>(method: string, path: string, body?: unknown): Promise<Answer>
  /** One request to an app, through the router. */
  request(app: string, path?: string, asked?: Asked): Promise<Reply>
  createApp(name: string): Promise<string>
  createSource(files: Record<string, string>): Promise<Source>
  push(source: Source, app: string, refspec?: string): Command
  /** A running app in one call: created, pushed, answering. */
  deploy(app: string, procfile?: Procfile): Promise<Source>
  releases(app: string): Promise<Release[]>
  dynos(app: string): Promise<Dyno[]>
  /** The release, once it has succeeded or failed. */
  settled(app: string, version: number): Promise<Release>
  /** Those of one app, or of all. */
  containers(app?: string): Promise<Container[]>
  /** Resolves when the container of a dyno that is not up yet runs. */
  booting(app: string): Promise<unknown>
  /** Does what a test file needs before its tests; ends the platform when that fails. */
  prepare<Result>(work: () => Promise<Result>): Promise<Result>
  stop(): Promise<void>
}

/** Boots a platform for one test file; rejects, with what the daemon said, when it does not come up. */
export async function startPlatform(): Promise<Platform> {
  await sweep()
  const data = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`))
  const home = await mkdtemp(join(tmpdir(), 'sluice-home-'))
  const ports = await freePorts()
  const env = environmentOf(data, ports)
  const daemon = createChild('daemon/main.js', env)
  const router = createChild('router/main.js', env)
  const sources: Source[] = []
  const stop = async () => {
    await Promise.all([router.kill(), daemon.kill()])
    await erase(data)
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
    const tools = await createTools({ port: ports.api, token, data, home })
    const startDaemon = async () => {
      daemon.start()
      await answers()
    }
    const parts = { data, ports, daemon, router, startDaemon, stop, ...tools }
    return withApps(parts, token, sources)
  } catch (error) {
    await stop()
    throw error
  }
}

type Parts = Pick<Platform, 'data' | 'ports' | 'daemon' | 'router' | 'startDaemon' | 'stop' | 'cli' | 'git'>

/** What tests do with apps, by the shortest way. */
function withApps(parts: Parts, token: string, sources: Source[]): Platform {
  const { ports, git } = parts
  const api: Platform['api'] = (method, path, body) => callApi({ port: ports.api, token }, method, path, body)
  const request: Platform['request'] = (app, path = '/', asked) =>
    requestHost(ports.http, `${app}.localhost`, path, asked)
  const newSource = async (files: Record<string, string>) => {
    const source = await createSource(git, files)
    sources.push(source)
    return source
  }
  const createApp = async (name: string) => (await api<{ name: string }>('POST', '/apps', { name })).name
  const push: Platform['push'] = (source, app, refspec = 'main') =>
    git(source.dir, 'push', `https://localhost:${ports.api}/${app}.git`, refspec)
  const releases = (app: string) => api<Release[]>('GET', `/apps/${app}/releases`)
  const containers: Platform['containers'] = async (app) => {
    const all = await listContainers((await readFile(join(parts.data, 'installation'), 'utf8')).trim())
    if (app === undefined) return all
    const { id } = await api<{ id: string }>('GET', `/apps/${app}`)
    return all.filter(({ Labels }) => Labels[appLabel] === id)
  }
  return {
    ...parts,
    api,
    request,
    createApp,
    createSource: newSource,
    push,
    releases,
    dynos: (app) => api('GET', `/apps/${app}/dynos`),
    async deploy(app, procfile) {
      await createApp(app)
      const source = await newSource(sampleFiles(procfile))
      const { code, output } = await push(source, app)
      if (code !== 0) throw new Error(`the push to ${app} failed:\n${output}`)
      return source
    },
    settled: (app, version) =>
      waitFor(
        `v${version} of ${app} to succeed or fail`,
        async () => {
          const release = (await releases(app)).find((release) => release.version === version)
          return release && release.status !== 'pending' ? release : null
        },
        { within: 90_000 },
      ),
    containers,
    booting: (app) =>
      waitFor(
        `a dyno of ${app} to boot`,
        async () => {
          const [dyno] = (await api<Dyno[]>('GET', `/apps/${app}/dynos`)).filter(({ state }) => state === 'starting')
          return (
            dyno && (await containers()).find(({ Labels, State }) => Labels[idLabel] === dyno.id && State === 'running')
          )
        },
        { within: 30_000, every: 5 },
      ),
    prepare: (work) =>
      work().catch(async (error: unknown) => {
        await parts.stop()
        throw error
      }),
  }
}

const PREFIX = 'sluice-e2e-'

/** What the platform has in the engine and on disk. */
async function erase(data: string): Promise<void> {
  const installation = await readFile(join(data, 'installation'), 'utf8').catch(() => '')
  if (installation !== '') await removeInstallation(installation.trim())
  await rm(data, { recursive: true, force: true, maxRetries: 5 })
}

/** A test that was killed at its deadline could not clean up; the next one does. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = name.startsWith(PREFIX) && name.slice(PREFIX.length).split('-')[0]
    if (pid && !existsSync(`/proc/${pid}`)) await erase(join(tmpdir(), name))
  }
}

function environmentOf(data: string, ports: Platform['ports']): NodeJS.ProcessEnv {
  return {
    ...process.env,
    SLUICE_DATA: data,
    SLUICE_PORT: String(ports.api),
    SLUICE_HTTP_PORT: String(ports.http),
    SLUICE_TLS_PORT: String(ports.tls),
    SLUICE_ROUTER_HOST: '127.0.0.1',
    SLUICE_NETWORK_POOL: `10.${214 + (ports.api % 36)}.0.0/16`,
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
    { within: 20_000 },
  )

/** Below the ephemeral range: a connection of the load must not take the daemon's port while the daemon is down. */
async function freePorts(): Promise<Platform['ports']> {
  const found: number[] = []
  while (found.length < 3) {
    const port = 15_000 + Math.floor(Math.random() * 15_000)
    if (!found.includes(port) && (await isFree(port))) found.push(port)
  }
  const [api = 0, http = 0, tls = 0] = found
  return { api, http, tls }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, () => server.close(() => resolve(true)))
  })

const tail = (log: string): string => log.split('\n').slice(-60).join('\n')
