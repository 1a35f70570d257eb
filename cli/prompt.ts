import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { Failure } from './settings.ts'

/*
 * Questions to a person at a terminal. They go to stderr, so that stdout can be redirected. Without a terminal nothing is asked: a command
 * says which flag to give instead.
 */

/** Whether there is somebody to ask. */
export const attended = (): boolean => Boolean(process.stdin.isTTY && process.stderr.isTTY)

/** What is typed in one line; `hidden` shows none of it. Ctrl-C ends the command as it does elsewhere, with 130. */
export function question(text: string, { hidden = false }: { hidden?: boolean } = {}): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const output = hidden ? silent : process.stderr
  const reader = createInterface({ input: process.stdin, output, terminal: true })
  process.stderr.write(hidden ? text : '')
  return new Promise((resolve, reject) => {
    let answered = false
    const end = () => {
      if (hidden || !answered) process.stderr.write('\n')
    }
    reader.on('SIGINT', () => {
      reader.close()
      process.exit(130)
    })
    reader.on('close', () => {
      end()
      if (!answered) reject(new Failure('Nothing was answered.'))
    })
    reader.question(hidden ? '' : text, (answer) => {
      answered = true
      reader.close()
      resolve(answer)
    })
  })
}

/** Yes or no; `assumed` is what Enter alone means. */
export async function confirmed(text: string, assumed: boolean): Promise<boolean> {
  const answer = (await question(`${text} ${assumed ? '(Y/n)' : '(y/N)'} `)).trim().toLowerCase()
  return answer === '' ? assumed : answer === 'y' || answer === 'yes'
}
