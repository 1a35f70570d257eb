import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chown, mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { DYNO_UID } from '../../daemon/engine/engine.ts'
import type { Rig } from './build-rig.ts'

/** Whoever else is on the machine while something goes on: an app, and a client of the API, which is in this process. */
export interface Neighbour {
  /** Requests since the start, and what became of those that were not answered within their time. */
  leave(): Promise<{ answered: number; failed: string[] }>
}

const PORT = 5000
const TIMEOUT = 10_000
const SERVER = `use IO::Socket::INET; $s = IO::Socket::INET->new(LocalPort => ${PORT}, Listen => 50, ReuseAddr => 1); while ($c = $s->accept) { sysread $c, $_, 4096; print $c "HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\nhere"; close $c }`

export async function moveIn({ d }: Rig): Promise<Neighbour> {
  const tree = join(d.config.data, 'neighbour')
  await mkdir(tree)
  await chown(tree, DYNO_UID, DYNO_UID)
  const app = { id: randomUUID(), name: 'neighbour' }
  const id = randomUUID()
  const { address } = await d.engine.start({
    ...{ id, app, release: { id: randomUUID(), version: 1 }, type: 'web', name: 'web.1' },
    image: d.stack('heroku-24').run,
    env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/app'],
    code: { kind: 'slug', tree, command: `exec perl -e '${SERVER}'` },
    ...{ memory: 256 * 1024 ** 2, cpu: 1, pids: 64 },
    network: { name: `sluice-neighbour-${process.pid}`, subnet: `10.104.${process.pid % 256}.0/26` },
  })
  const api = createServer((_, answer) => answer.end('here')).listen(0, '127.0.0.1')
  await once(api, 'listening')
  const urls = [`http://${address}:${PORT}/`, `http://127.0.0.1:${(api.address() as AddressInfo).port}/`]
  const client = spawn(process.execPath, ['-e', CLIENT, ...urls], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(client.stdout, 'readable')
  if (client.stdout.read() === null) throw new Error('the neighbour does not answer')
  return {
    async leave() {
      client.stdin.end()
      const outcome = JSON.parse(await text(client.stdout))
      api.close()
      await d.engine.stop(id, 0)
      await d.engine.removeApp(app.id)
      return outcome
    },
  }
}

/** Requests each URL again and again, from the first answer on until its input ends. */
const CLIENT = `
const failed = []
let answered = 0
let over = false
process.stdin.on('end', () => (over = true)).resume()
const ask = (url) => fetch(url, { signal: AbortSignal.timeout(${TIMEOUT}) })
const pause = (ms) => new Promise((done) => setTimeout(done, ms))
async function follow(url) {
  while (!over) {
    await ask(url).then(async (answer) => { await answer.text(); answered++ }, (error) => failed.push(url + ' ' + error))
    await pause(100)
  }
}
async function main() {
  const [, ...urls] = process.argv
  for (const url of urls) for (let n = 0; !(await ask(url).catch(() => false)); n++) if (n > 100) process.exit(1); else await pause(100)
  console.log('ready')
  await Promise.all(urls.map(follow))
  console.log(JSON.stringify({ answered, failed }))
}
main()`
