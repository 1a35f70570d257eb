import { request } from 'node:http'
import type { Check, Checks } from './check.ts'

/** What is read of an answer in search of `content`. */
const READ = 64 * 1024
/** And in how many pieces, each of which takes time however small it is; preliminary answers (1xx) are some too. */
const PIECES = 1000
/** Of a path, in words. */
const SHOWN = 100

export interface Place {
  address: string
  port: number
}

/** What a dyno is asked before it gets requests, one after the other. Resolves to what is wrong with the first that does not pass, or null. */
export async function askAll(place: Place, { host, startup, readiness, liveness }: Checks): Promise<string | null> {
  for (const check of [startup, readiness, liveness]) {
    const trouble = check === undefined ? null : await ask(place, host, check)
    if (trouble !== null) return trouble
  }
  return null
}

/** Asks once, over a connection of its own. Resolves to the question and what is wrong with the answer, in words; null when nothing is. */
export async function ask(place: Place, host: string, check: Check): Promise<string | null> {
  const trouble = await troubleWith(place, host, check)
  return trouble === null ? null : `GET ${check.path.slice(0, SHOWN)}, ${trouble}`
}

function troubleWith({ address, port }: Place, host: string, check: Check): Promise<string | null> {
  const { path, timeout, content } = check
  const wanted = content === undefined ? null : Buffer.from(content)
  return new Promise((resolve) => {
    const headers = { Host: host, 'User-Agent': 'Sluice health check', Accept: '*/*', Connection: 'close' }
    const sent = request({ host: address, port, path, headers, agent: false })
    const end = (trouble: string | null): void => {
      clearTimeout(late)
      resolve(trouble)
      sent.destroy()
    }
    const late = setTimeout(() => end(`it did not answer within ${timeout / 1000} s`), timeout)
    sent.on('error', ({ code }: NodeJS.ErrnoException) =>
      end(code === 'ECONNREFUSED' ? 'it refused the connection' : 'it broke the connection off'),
    )
    let pieces = 0
    sent.on('information', () => ++pieces > PIECES && end('it sent too many preliminary answers'))
    sent.on('response', (answer) => {
      const status = answer.statusCode ?? 0
      if (status < 200 || status > 399) return end(`it answered ${status}`)
      if (wanted === null) return end(null)
      let read = 0
      // What the next chunk may complete. Never all that was read: an answer of single bytes would have all of it looked through for each.
      let rest = Buffer.alloc(0)
      answer.on('data', (chunk: Buffer) => {
        const text = Buffer.concat([rest, chunk])
        read += chunk.length
        if (text.includes(wanted)) end(null)
        else if (read > READ || ++pieces > PIECES) end(`it answered ${status} without the content that is wanted`)
        rest = text.subarray(Math.max(0, text.length - wanted.length + 1))
      })
      answer.on('end', () => end(`it answered ${status} without the content that is wanted`))
      answer.on('error', () => end('it broke the connection off'))
    })
    sent.end()
  })
}
