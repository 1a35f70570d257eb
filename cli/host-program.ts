import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, packageRoot } from './settings.ts'

/** Runs a program of the daemon on this host, at its terminal. Why it failed it says by its channel, and that ends the command. */
export async function runOnHost(program: string, args: string[]): Promise<void> {
  const path = join(packageRoot, 'dist', 'daemon', program)
  if (!existsSync(path)) throw new Failure('This works on a host that Sluice is installed on. Run it there.')
  const child = fork(path, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  let failure: string | undefined
  child.on('message', (message) => {
    failure = String(message)
  })
  const [code, signal] = await once(child, 'close')
  if (code !== 0) throw new Failure(failure ?? `It was ended by ${signal ?? code}. Run it again.`)
}
