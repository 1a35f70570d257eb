import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { startHost } from './host.ts'

/** The API in a process of its own, over the database in `data`: it can be killed, and what it takes can be measured. */
export interface HostProcess {
  url: string
  token: string
  child: ChildProcess
}

export async function startHostProcess(data: string): Promise<HostProcess> {
  const child = fork(import.meta.filename, [data], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [ready] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the API's process ended with ${code}`))),
  ])) as [{ url: string; token: string }]
  return { ...ready, child }
}

const [, file, data] = process.argv
if (file === import.meta.filename && data !== undefined) {
  const { url, token } = await startHost({ SLUICE_DATA: data, SLUICE_RATE_LIMIT: '1000000000' })
  process.once('disconnect', () => process.exit())
  process.send?.({ url, token })
}
