import { execFile } from 'node:child_process'
import type { Config } from './config.ts'

/** Tells systemd how it is with us (sd_notify(3)), by its own command; nobody else is told. Resolves when it has been told. */
export async function tellSystemd({ notify }: Config, ...states: string[]): Promise<void> {
  if (notify) await new Promise<void>((resolve) => execFile('systemd-notify', states, () => resolve()))
}

/** Says that we live, twice as often as it wants to hear, as long as it is we who are watched. */
export function keepWatchdog(config: Config, concerned: () => boolean): void {
  if (config.watchdog === 0) return
  setInterval(() => concerned() && void tellSystemd(config, 'WATCHDOG=1'), config.watchdog / 2).unref()
}
