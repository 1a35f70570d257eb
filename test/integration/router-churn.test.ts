import { once } from 'node:events'
import { createServer } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { AppRoute, Backend } from '../../router/protocol.ts'
import { type Client, client, eventually, get, rawDyno, startRig } from './router-rig.ts'

/** Tables, dynos and clients that come and go in every order: nobody is forgotten, and nothing is counted twice. */

/** https://en.wikipedia.org/wiki/Xorshift */
function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** A dyno whose port accepts or refuses. */
async function switchable(id: string) {
  const place = await rawDyno(() => {})
  place.close()
  const server = createServer((req, res) => {
    if (req.url === '/drop') req.socket.destroy()
    else res.end(`<${id}>`)
  })
  const dyno = {
    route: (mode: Backend['mode']): Backend => ({ ...place.route(mode, id), dyno: id }),
    async accept() {
      if (server.listening) return
      server.listen(place.port, '127.0.0.1')
      await once(server, 'listening')
    },
    refuse() {
      server.close()
      server.closeAllConnections()
    },
  }
  return dyno
}

for (const seed of [1, 2, 3, 4])
  test(`whatever happens, every client is answered and nothing is left over (seed ${seed})`, async () => {
    const random = seeded(seed)
    const rig = await startRig({ backlog: 40, perBackend: 30, holdPause: 1, holdPauseMost: 10, quarantineFirst: 20 })
    const dynos = await Promise.all(['web.1', 'web.2', 'web.3'].map(switchable))
    const [one] = dynos
    const clients: Client[] = []
    const left = new Set<Client>()
    const table = (): Partial<AppRoute> => ({
      affinity: random(2) === 0,
      maintenance: random(12) === 0,
      empty: (['starting', 'starting', 'crashed', 'none'] as const)[random(4)] ?? 'none',
      ...(random(4) === 0 ? { hold: [0, 20, 60_000][random(3)] ?? 0 } : {}),
      backends: dynos
        .filter(() => random(3) > 0)
        .map((dyno) => dyno.route((['serve', 'serve', 'serve', 'drain', 'probe'] as const)[random(5)] ?? 'serve')),
    })
    rig.serve(table())
    for (let step = 0; step < 400; step++) {
      const what = random(10)
      if (what < 5) clients.push(client(rig.port).write(get().replace('/', random(8) === 0 ? '/drop' : '/')))
      else if (what < 7) rig.serve(table())
      else if (what === 7) await dynos[random(3)]?.accept()
      else if (what === 8) dynos[random(3)]?.refuse()
      else {
        const gone = clients[random(clients.length || 1)]
        if (gone !== undefined) {
          left.add(gone)
          gone.socket.resetAndDestroy()
        }
      }
      await setImmediate()
    }
    await one?.accept()
    rig.serve({ backends: one ? [one.route('serve')] : [] })
    for (const asked of clients) if (!left.has(asked)) await asked.until(/^HTTP\/1\.1 (?:200|503) /)
    const app = rig.router.find('a.localhost')
    await eventually(
      () => rig.router.waiting === 0 && app?.backlog.requests === 0 && app.serving[0]?.users.size === 0,
      () => `nothing to be left: ${rig.router.waiting}, ${app?.backlog.requests}, ${app?.serving[0]?.users.size}`,
    )
    assert.is(app?.backlog.held, false)
    await client(rig.port)
      .write(get())
      .until(/<web\.1>/)
    for (const dyno of dynos) dyno.refuse()
    await rig.close()
  })

test.run()
