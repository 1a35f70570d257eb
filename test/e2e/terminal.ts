import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './command.ts'
import { waitFor } from './wait.ts'

/** A shell in a real terminal (tmux), for what a person types and sees. */
export interface Terminal {
  /** Types a line and presses Enter. */
  enter(line: string): Promise<void>
  /** Presses keys by tmux's names: `C-c`, `Up`, `Enter`. */
  press(...keys: string[]): Promise<void>
  /** Empties the screen, before it returns: what is shown from then on is new. The shell's own `clear` runs later. */
  clear(): Promise<void>
  /** What is on the screen now, without trailing blanks. */
  screen(): Promise<string>
  /** Waits until the screen shows this; the error shows the screen. */
  shows(what: string | RegExp): Promise<string>
  resize(columns: number, rows: number): Promise<void>
  close(): Promise<void>
}

/** A line for a shell: shows `lasting` once Ctrl-C goes to what lasts, and not to the shell that is about to start it. */
export const LASTING = `sh -c 'echo last"ing"; exec sleep 1000'`

const sluice = join(import.meta.dirname, '..', '..', 'cli', 'main.js')

/** `heroku` and `sluice` are commands in it. */
export async function openTerminal(
  env: NodeJS.ProcessEnv,
  { cli, cwd, columns = 100, rows = 33 }: { cli: string; cwd: string; columns?: number; rows?: number },
): Promise<Terminal> {
  const name = `sluice-${randomUUID()}`
  const script = join(tmpdir(), `${name}.bash`)
  const commands = [
    `heroku() { '${process.execPath}' --no-deprecation '${cli}' "$@"; }`,
    `sluice() { '${process.execPath}' '${sluice}' "$@"; }`,
  ]
  await writeFile(script, `PS1='here> '\n${commands.join('\n')}\n`)
  const tmux = async (...args: string[]): Promise<string> => {
    const { code, output, stdout } = await run(['tmux', '-L', name, '-f', '/dev/null', ...args], {
      env: { ...env, TERM: 'xterm-256color' },
      cwd,
    })
    if (code !== 0) throw new Error(`tmux ${args[0]}: ${output}`)
    return stdout
  }
  const size = ['-x', String(columns), '-y', String(rows)]
  await tmux('new-session', '-d', ...size, `exec bash --noprofile --rcfile '${script}'`)
  const screen = async () => (await tmux('capture-pane', '-p')).trimEnd()
  const shows = async (what: string | RegExp) => {
    let seen = ''
    const there = () => (typeof what === 'string' ? seen.includes(what) : what.test(seen))
    try {
      return await waitFor(`the screen to show ${what}`, async () => {
        seen = await screen()
        return there() && seen
      })
    } catch (error) {
      throw new Error(`${(error as Error).message}\nthe screen:\n${seen}`)
    }
  }
  await shows('here>')
  return {
    screen,
    shows,
    async enter(line) {
      await tmux('send-keys', '-l', line)
      await tmux('send-keys', 'Enter')
    },
    clear: async () => void (await tmux('send-keys', '-R')),
    press: async (...keys) => void (await tmux('send-keys', ...keys)),
    resize: async (columns, rows) => void (await tmux('resize-window', '-x', String(columns), '-y', String(rows))),
    async close() {
      await tmux('kill-server').catch(() => {})
      await rm(script, { force: true })
    },
  }
}
