import type { Account } from '../account/account.ts'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import { createSplitter, textOf } from '../logs/split.ts'
import { runOneOff } from '../run/oneoff.ts'

/** How a script ended, and the end of what it printed. */
export interface Ended {
  exitCode: number
  output: string
}

/**
 * Runs a script once in a one-off dyno of the app's current release, whose client the daemon is: it ends when the daemon ends. What it
 * prints goes to the app's log, too. Throws UserError or EngineError when it cannot be started.
 */
export async function runScript(
  d: Daemon,
  { app, account, command }: { app: App; account: Account; command: string },
  signal: AbortSignal,
): Promise<Ended> {
  const wish = { command, env: {}, size: undefined, type: undefined, attached: true, timeToLive: limits.postdeploy }
  const dyno = await runOneOff(d, app, account, { ...wish, terminal: { kind: 'pipes' } })
  const process = await d.engine.attach(dyno.id, signal)
  process.input.on('error', () => {})
  process.input.end()
  const hangup = () => void process.hangup().catch(() => {})
  signal.addEventListener('abort', hangup)
  try {
    const splitter = createSplitter()
    const log = (lines: Buffer[]) => {
      for (const line of lines)
        d.logs.write(app.id, { at: d.clock.now(), source: 'app', dyno: dyno.name, text: textOf(line) })
    }
    let kept = Buffer.alloc(0)
    for await (const { data } of process.output) {
      log(splitter.push(data))
      kept = Buffer.concat([kept, data]).subarray(-limits.postdeployOutput)
    }
    log(splitter.end())
    const exitCode = await process.exit
    signal.throwIfAborted()
    return { exitCode, output: kept.toString('utf8') }
  } finally {
    signal.removeEventListener('abort', hangup)
  }
}
