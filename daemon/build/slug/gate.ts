import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { run } from '../command.ts'

/** Where the compile script waits until everything is there that it works on: a FIFO, from which it reads one line. */
export interface Gate {
  open(): Promise<void>
  /** Whoever waits at a gate that was not opened reads its end; so it is when the daemon dies. */
  close(): Promise<void>
}

export async function createGate(path: string): Promise<Gate> {
  await run('mkfifo', ['-m', '644', path])
  // For reading too, or it would take a reader to open it.
  const file = await open(path, constants.O_RDWR)
  return {
    open: async () => void (await file.write('open\n')),
    close: () => file.close(),
  }
}
