import type { ServerChannel, Session } from 'ssh2'
import type { Process, Terminal } from '../../engine/engine.ts'
import type { Line } from './channel.ts'
import { converse } from './converse.ts'

/** What a client wants to run. */
export interface Wanted {
  /** `undefined` for a shell. */
  command: string | undefined
  terminal: Terminal
  /** `NAME=value`; what a client's own environment says is not passed on: its locale need not exist in the dyno. */
  env: string[]
}

export interface Stage {
  open(wanted: Wanted, signal: AbortSignal): Promise<Process>
  line(channel: ServerChannel): Line
  /** What was decided before the client came; else its requests decide. */
  terminal?: Terminal | undefined
  /** Send stderr as stdout, for clients that show nothing else. */
  merged: boolean
  /** Absent: files are not read. */
  sftp?(line: Line): Promise<void>
  /** It asked for something; called once, with the end of what it asked for. */
  began(ended: Promise<void>): void
}

const DEFAULT = { columns: 80, rows: 24 }
const LARGEST = 0xffff
/** Ctrl-C and Ctrl-\\. */
const KEYS = new Map([
  ['INT', '\x03'],
  ['QUIT', '\x1c'],
])
const ENDINGS = new Set(['HUP', 'INT', 'KILL', 'QUIT', 'TERM'])

/** Serves one session: the requests before its start, then its one process. */
export function serveSession(session: Session, stage: Stage): void {
  let terminal: Terminal = stage.terminal ?? { kind: 'pipes' }
  let env: string[] = []
  let process: Process | undefined
  let channel: ServerChannel | undefined

  session.on('pty', (accept, reject, { cols, rows, term }) => {
    if (stage.terminal?.kind === 'pipes') return reject?.()
    terminal = ttyOf(cols, rows)
    env = /^[\w.+-]{1,64}$/.test(term) ? [`TERM=${term}`] : []
    accept?.()
  })
  session.on('window-change', (_accept, _reject, { cols, rows }) => {
    if (terminal.kind === 'pipes') return
    terminal = ttyOf(cols, rows)
    process?.resize(terminal.columns, terminal.rows).catch(() => {})
  })
  session.on('signal', (accept, reject, { name }) => {
    if (process && send(process, terminal, name)) accept?.()
    else reject?.()
  })
  const start = (accept: () => ServerChannel | undefined, command: string | undefined) => {
    channel = accept()
    if (!channel) return
    const at = terminal
    const open = async (signal: AbortSignal) => {
      const opened = await stage.open({ command, terminal: at, env }, signal)
      process = opened
      if (terminal !== at && terminal.kind === 'tty') opened.resize(terminal.columns, terminal.rows).catch(() => {})
      return opened
    }
    stage.began(converse(stage.line(channel), at, { merged: stage.merged, open }))
  }
  session.on('shell', (accept) => start(accept, undefined))
  session.on('exec', (accept, _reject, { command }) => start(accept, command))
  session.on('subsystem', (accept, reject, { name }) => {
    if (name !== 'sftp' || !stage.sftp) return reject?.()
    const accepted: ServerChannel | undefined = accept()
    if (accepted) stage.began(stage.sftp(stage.line(accepted)))
  })
}

const ttyOf = (columns: number, rows: number): Extract<Terminal, { kind: 'tty' }> => ({
  kind: 'tty',
  columns: sized(columns, DEFAULT.columns),
  rows: sized(rows, DEFAULT.rows),
})

/** A client that does not know its size says 0. */
const sized = (given: number, fallback: number): number => (given >= 1 && given <= LARGEST ? given : fallback)

/** What a terminal has a key for is typed; what ends a process is a hang-up. False for the rest. */
function send(process: Process, { kind }: Terminal, signal: string): boolean {
  const key = KEYS.get(signal)
  if (kind === 'tty' && key !== undefined) process.input.write(key)
  else if (ENDINGS.has(signal)) process.hangup().catch(() => {})
  else return false
  return true
}
