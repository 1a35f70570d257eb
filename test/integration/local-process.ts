import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Process, Terminal } from '../../daemon/engine/engine.ts'
import { quote } from '../../daemon/run/ssh/dyno-command.ts'

export interface Local extends Process {
  /** The sizes that its terminal was told after its start. */
  sizes: string[]
  hungUp: boolean
}

/**
 * A process of this machine in place of one in a dyno; `script` gives it a terminal, whose size stays what it was at its start. It has no
 * home: what the shell of whoever runs the tests does at its start may take a minute.
 */
export function startLocally(
  command: string,
  terminal: Terminal,
  { env = [], cwd = '/' }: { env?: string[]; cwd?: string } = {},
): Local {
  const sized = terminal.kind === 'tty' ? `stty cols ${terminal.columns} rows ${terminal.rows}; ${command}` : command
  const argv =
    terminal.kind === 'tty'
      ? ['script', '-qfec', `bash --norc -c ${quote(sized)}`, '/dev/null']
      : ['bash', '--norc', '-c', command]
  const [file = '', ...args] = argv
  const given = Object.fromEntries(env.map((one) => one.split('=', 2)))
  const child = spawn(file, args, {
    cwd,
    detached: true,
    env: { PATH: process.env.PATH, HOME: '/nonexistent', ...given },
  })
  child.stdin.on('error', () => {})
  const exit = once(child, 'close').then(([code, signal]) => code ?? (signal ? 128 : 1))
  const local: Local = {
    input: child.stdin,
    output: merge(child.stdout, child.stderr),
    exit,
    sizes: [],
    hungUp: false,
    async resize(columns, rows) {
      local.sizes.push(`${columns}x${rows}`)
    },
    async hangup() {
      local.hungUp = true
      if (child.pid !== undefined) endGroup(child.pid)
      await exit
    },
  }
  return local
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // it has ended
  }
}

type Chunk = { stream: 'stdout' | 'stderr'; data: Buffer }

/** Both streams, each read no further than the consumer reads. */
async function* merge(stdout: AsyncIterable<Buffer>, stderr: AsyncIterable<Buffer>): AsyncGenerator<Chunk> {
  const sources = new Map<string, Promise<{ stream: Chunk['stream']; next: IteratorResult<Buffer> }>>()
  const iterators = { stdout: stdout[Symbol.asyncIterator](), stderr: stderr[Symbol.asyncIterator]() }
  const pull = (stream: Chunk['stream']) =>
    sources.set(
      stream,
      iterators[stream].next().then((next) => ({ stream, next })),
    )
  pull('stdout')
  pull('stderr')
  while (sources.size > 0) {
    const { stream, next } = await Promise.race(sources.values())
    if (next.done) sources.delete(stream)
    else {
      pull(stream)
      yield { stream, data: next.value }
    }
  }
}
