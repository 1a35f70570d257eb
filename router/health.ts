import { request } from 'node:http'
import type { Backend } from './protocol.ts'

/** What is read of an answer in search of `content`. */
const READ = 64 * 1024

export interface Place {
  address: string
  port: number
}

/** Asks a dyno once for its health, over a connection of its own. Resolves to what is wrong with the answer, in words; null when nothing is. */
export function ask({ address, port }: Place, check: NonNullable<Backend['check']>): Promise<string | null> {
  const { host, path, timeout, content } = check
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
    sent.on('error', () => end('it broke the connection off'))
    sent.on('response', (answer) => {
      const status = answer.statusCode ?? 0
      if (status < 200 || status > 399) return end(`it answered ${status}`)
      if (wanted === null) return end(null)
      let body = Buffer.alloc(0)
      answer.on('data', (chunk: Buffer) => {
        body = Buffer.concat([body, chunk])
        if (body.includes(wanted)) end(null)
        else if (body.length > READ) end(`it answered ${status} without the content that is wanted`)
      })
      answer.on('end', () => end(`it answered ${status} without the content that is wanted`))
      answer.on('error', () => end('it broke the connection off'))
    })
    sent.end()
  })
}
