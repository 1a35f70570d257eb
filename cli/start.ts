import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Program } from './program.ts'
import { answers, apiUrl, Failure, packageRoot, settings } from './settings.ts'

/*
 *   foreground:  claim the pid file -> daemon and router as children -> both answer: say so -> a signal: both end -> pid file goes
 *   background:  the same in a session of its own, whose output goes to a file; the caller waits until both answer
 *
 * The pid file counts only while its process lives and is one of ours, so one that a crash left behind is in nobody's way. The children
 * get SIGTERM from the kernel when their parent dies.
 */

const pidFile = () => join(settings.data, 'sluice.pid')
const logFile = () => join(settings.data, 'sluice.log')
const main = join(packageRoot, 'dist/cli/main.js')

/** A process that ends this soon after its first start has a reason that starting it again will not mend. */
const EARLY = 3000
const FIRST_PAUSE = 250
const LAST_PAUSE = 10_000
const READY_WITHIN = 60_000
const STOPPED_WITHIN = 60_000
/** Bytes; a log longer than this is put aside (one generation) when the platform starts in the background. */
const LONGEST_LOG = 16 * 1024 ** 2

export function register(program: Program): void {
  program.command('start').description('run daemon and router of this host in the foreground').action(start)
  program
    .command('stop')
    .description('end a platform that runs in the background')
    .action(
      async () =>
        void process.stdout.write((await stop()) ? 'The platform has ended.\n' : 'The platform was not running.\n'),
    )
}

/** Runs daemon and router in the foreground until a signal; one that dies is started again. */
async function start(): Promise<void> {
  if (!existsSync(join(packageRoot, 'dist/daemon/main.js')))
    throw new Failure(
      'This is the command alone, without a platform. Start one from a checkout, or install it on its host.',
    )
  await mkdir(settings.data, { recursive: true, mode: 0o700 })
  if ((await answers()) || !(await claim()))
    throw new Failure(`The platform is running already at ${apiUrl}. End it with: npm run demo -- --stop`)
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.abort())
  void ready(stopping.signal).then((up) => up && tell())
  const ends = await Promise.allSettled([keep('daemon', stopping), keep('router', stopping)])
  await rm(pidFile(), { force: true })
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

/** Starts the platform in the background unless it runs, and waits until it answers. */
export async function startDetached(): Promise<void> {
  if (await answers()) return
  await mkdir(settings.data, { recursive: true, mode: 0o700 })
  const ended = new AbortController()
  const from = await logSize()
  if (!(await claimant())) {
    const log = openSync(logFile(), 'a', 0o600)
    const child = spawn(process.execPath, [main, 'start'], { detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    child.unref()
    child.on('exit', () => ended.abort())
  }
  if (!(await ready(ended.signal))) throw new Failure(`The platform does not start. ${await lastWords(from)}`)
}

/** Ends the platform; dynos keep running. Returns false when it was not running. */
export async function stop(): Promise<boolean> {
  const pid = await claimant()
  if (!pid) return false
  process.kill(pid, 'SIGTERM')
  for (const deadline = Date.now() + STOPPED_WITHIN; (await claimant()) === pid; await pause(50))
    if (Date.now() > deadline)
      throw new Failure(`Process ${pid} did not end within a minute. See ${logFile()}, then: kill -9 ${pid}`)
  return true
}

/** Keeps one of the two processes running; rejects when its first start fails at once. */
async function keep(part: 'daemon' | 'router', stopping: AbortController): Promise<void> {
  for (let failures = 0; !stopping.signal.aborted; ) {
    const began = Date.now()
    const code = await ended(spawnPart(part), stopping.signal)
    if (stopping.signal.aborted) return
    const lived = Date.now() - began
    if (failures === 0 && lived < EARLY && code === 1) {
      stopping.abort()
      throw new Failure(`The ${part} could not start; its reason is above.`)
    }
    failures = lived > LAST_PAUSE ? 1 : failures + 1
    process.stderr.write(`sluice: the ${part} ended (${code}); it is started again\n`)
    const wait = Math.min(LAST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1))
    await pause(wait, undefined, { signal: stopping.signal }).catch(() => {})
  }
}

const spawnPart = (part: string): ChildProcess =>
  spawn('setpriv', ['--pdeathsig', 'TERM', process.execPath, join(packageRoot, `dist/${part}/main.js`)], {
    stdio: 'inherit',
  })

function ended(child: ChildProcess, signal: AbortSignal): Promise<number | string | null> {
  const stop = () => child.kill('SIGTERM')
  signal.addEventListener('abort', stop, { once: true })
  return new Promise((resolve) => {
    const end = (how: number | string | null) => {
      signal.removeEventListener('abort', stop)
      resolve(how)
    }
    child.on('exit', (code, by) => end(code ?? by))
    child.on('error', (error) => end(error.message))
  })
}

/** Polls until API and router answer; false when `signal` aborts first or a minute has passed. */
async function ready(signal: AbortSignal): Promise<boolean> {
  for (const deadline = Date.now() + READY_WITHIN; Date.now() < deadline && !signal.aborted; ) {
    if ((await answers()) && (await routerAnswers())) return true
    await pause(100)
  }
  return false
}

const routerAnswers = (): Promise<boolean> =>
  fetch(`http://localhost:${settings.httpPort}/`, { signal: AbortSignal.timeout(2000) }).then(
    () => true,
    () => false,
  )

function tell(): void {
  const lines = [
    `Sluice is up. API and git: ${apiUrl} (HTTP and TLS). Apps: http://APP.${settings.domain}:${settings.httpPort}`,
    'In another shell:  eval "$(npm run -s env)" && heroku apps',
  ]
  process.stdout.write(`\n${lines.join('\n')}\n\n`)
}

/** Takes the pid file, unless a live process of ours has it. */
async function claim(): Promise<boolean> {
  if (await claimant()) return false
  await rm(pidFile(), { force: true })
  try {
    await writeFile(pidFile(), String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** The process that runs the platform, if there is one; a number in an old file may belong to another program by now. */
async function claimant(): Promise<number | undefined> {
  const pid = Number(await readFile(pidFile(), 'utf8').catch(() => ''))
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return pid > 0 && command.includes('\0start\0') && command.includes('cli') ? pid : undefined
}

/** Where this start's lines will begin. */
async function logSize(): Promise<number> {
  const size = await stat(logFile()).then(
    (found) => found.size,
    () => 0,
  )
  if (size <= LONGEST_LOG) return size
  await rename(logFile(), `${logFile()}.1`)
  return 0
}

async function lastWords(from: number): Promise<string> {
  const file = await open(logFile(), 'r')
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(64 * 1024), position: from })
    const text = buffer.toString('utf8', 0, bytesRead)
    // Whoever gives up says why in one such line.
    return /^(?: › {3}Error: |sluice: |<3>)(.*)$/m.exec(text)?.[1] ?? `See ${logFile()}.`
  } finally {
    await file.close()
  }
}
