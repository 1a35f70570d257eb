import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { answers, apiUrl, Failure, packageRoot, settings } from './settings.ts'

const pidFile = () => join(settings.data, 'sluice.pid')
const logFile = () => join(settings.data, 'sluice.log')

/** A process that ends this soon after its first start has a reason that starting it again will not mend. */
const EARLY = 3000
const FIRST_PAUSE = 250
const LAST_PAUSE = 10_000
const READY_WITHIN = 60_000

/** Runs daemon and router in the foreground until a signal; one that dies is started again. */
export async function start(): Promise<void> {
  await mkdir(settings.data, { recursive: true, mode: 0o700 })
  if (await answers())
    throw new Failure(`The platform is running already at ${apiUrl}. End it with: npm run demo -- --stop.`)
  await writeFile(pidFile(), String(process.pid))
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.abort())
  const children = [keep('daemon', stopping), keep('router', stopping)]
  void ready(stopping.signal).then((up) => up && tell())
  try {
    await Promise.all(children)
  } finally {
    await rm(pidFile(), { force: true })
  }
}

/** Starts the platform in the background unless it runs, and waits until it answers. */
export async function startDetached(): Promise<void> {
  if (await answers()) return
  await mkdir(settings.data, { recursive: true, mode: 0o700 })
  const log = openSync(logFile(), 'a', 0o600)
  const child = spawn(process.execPath, [join(packageRoot, 'dist/cli/main.js'), 'start'], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  child.unref()
  const ended = new AbortController()
  child.on('exit', () => ended.abort())
  if (!(await ready(ended.signal))) throw new Failure(`The platform does not start. ${await lastWords()}`)
}

/** Ends the platform; apps keep running unless their containers are stopped as well. Returns false when it was not running. */
export async function stop(): Promise<boolean> {
  const pid = Number(await readFile(pidFile(), 'utf8').catch(() => ''))
  if (!pid || !alive(pid)) return false
  process.kill(pid, 'SIGTERM')
  for (let waited = 0; alive(pid) && waited < 60_000; waited += 100)
    await new Promise((resolve) => setTimeout(resolve, 100))
  if (alive(pid)) throw new Failure(`Process ${pid} did not end within a minute. See ${logFile()}.`)
  return true
}

/** Keeps one of the two processes running; rejects when its first start fails at once. */
async function keep(part: 'daemon' | 'router', stopping: AbortController): Promise<void> {
  for (let failures = 0; !stopping.signal.aborted; ) {
    const began = Date.now()
    const child = spawn(process.execPath, [join(packageRoot, `dist/${part}/main.js`)], { stdio: 'inherit' })
    const code = await ended(child, stopping.signal)
    if (stopping.signal.aborted) return
    if (failures === 0 && Date.now() - began < EARLY && code === 1) {
      stopping.abort()
      throw new Failure(`The ${part} could not start; its reason is above.`)
    }
    failures = Date.now() - began > LAST_PAUSE ? 1 : failures + 1
    process.stderr.write(`sluice: the ${part} ended (${code}); it is started again\n`)
    await new Promise((resolve) => setTimeout(resolve, Math.min(LAST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1))))
  }
}

function ended(child: ChildProcess, signal: AbortSignal): Promise<number | string | null> {
  const stop = () => child.kill('SIGTERM')
  signal.addEventListener('abort', stop, { once: true })
  return new Promise((resolve) => {
    child.on('exit', (code, by) => {
      signal.removeEventListener('abort', stop)
      resolve(code ?? by)
    })
  })
}

/** Polls until API and router answer; false when `signal` aborts first or a minute has passed. */
async function ready(signal: AbortSignal): Promise<boolean> {
  for (const deadline = Date.now() + READY_WITHIN; Date.now() < deadline && !signal.aborted; ) {
    if ((await answers()) && (await routerAnswers())) return true
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return false
}

const routerAnswers = (): Promise<boolean> =>
  fetch(`http://localhost:${settings.httpPort}/`, { signal: AbortSignal.timeout(2000) }).then(
    () => true,
    () => false,
  )

function tell(): void {
  process.stdout.write(
    [
      '',
      `Sluice is up. API and git: ${apiUrl} (HTTP and TLS). Apps: http://APP.${settings.domain}:${settings.httpPort}`,
      'In another shell:  eval "$(npm run -s env)" && heroku apps',
      '',
      '',
    ].join('\n'),
  )
}

async function lastWords(): Promise<string> {
  const lines = (await readFile(logFile(), 'utf8').catch(() => '')).trim().split('\n')
  const own = lines.filter((line) => line.startsWith('sluice: ')).slice(-3)
  return own.length > 0 ? own.join(' ') : `See ${logFile()}.`
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
