import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'

export interface Result {
  code: number | null
  out: string
  err: string
}

/** Command lines, one after the other, in a process that is kept warm for them. */
export interface Session {
  run(argv: string[]): Promise<Result>
  close(): void
}

/** `program` is a compiled file beside this one, such as session.js. One command at a time; a command that ends the process gets the next one a new process. */
export function createSession(program: string, cwd: string, env: () => NodeJS.ProcessEnv): Session {
  let child: ChildProcess | undefined
  let last: Promise<unknown> = Promise.resolve()
  const warm = async (): Promise<ChildProcess> => {
    if (child) return child
    const fresh = fork(join(import.meta.dirname, program), [], {
      cwd,
      env: env(),
      execArgv: ['--no-deprecation'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    fresh.once('exit', () => {
      if (child === fresh) child = undefined
    })
    for (const stream of [fresh.stdout, fresh.stderr]) stream?.setEncoding('utf8')
    await new Promise((resolve) => fresh.once('message', resolve))
    child = fresh
    return fresh
  }
  return {
    run(argv) {
      const result = last.then(async () => answer(await warm(), argv))
      last = result.catch(() => {})
      return result
    },
    close: () => void child?.kill(),
  }
}

const END = /\0(\d+)\0/

/** What it prints up to the mark that ends the command on both outputs, or up to the end of the process. */
function answer(child: ChildProcess, argv: string[]): Promise<Result> {
  return new Promise((resolve) => {
    const said = { out: '', err: '' }
    const done = (code: number | null): void => {
      child.stdout?.off('data', out)
      child.stderr?.off('data', err)
      child.off('close', done)
      resolve({ code, out: said.out.replace(END, ''), err: said.err.replace(END, '') })
    }
    const read = (key: 'out' | 'err') => (text: string) => {
      said[key] += text
      const code = END.exec(said.out)?.[1]
      if (code !== undefined && END.test(said.err)) done(Number(code))
    }
    const [out, err] = [read('out'), read('err')]
    child.stdout?.on('data', out)
    child.stderr?.on('data', err)
    child.once('close', done)
    child.send(argv)
  })
}
