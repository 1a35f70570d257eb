import { EventEmitter } from 'node:events'
import { CompiledQuery, type KyselyPlugin } from 'kysely'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { WebSocket } from 'ws'
import { systemClock } from '../../daemon/clock.ts'
import type { Engine } from '../../daemon/engine/engine.ts'
import { changeConfig } from '../../daemon/release/config.ts'
import { outcome } from '../../daemon/release/outcome.ts'
import { newestNotFailed } from '../../daemon/release/release.ts'
import { createRouters } from '../../daemon/route/control.ts'
import { allRoutes } from '../../daemon/route/routes.ts'
import type { Db } from '../../daemon/store/database.ts'
import { tableAfter } from '../../router/edition.ts'
import { PROTOCOL, parseDown, type Table, type Up } from '../../router/protocol.ts'
import { fill } from '../bench/fill.ts'
import { listening, type World } from '../engine/memory.ts'
import { closeAll, type Own, open, type Stage, signal, well } from './reconcile-rig.ts'

/** What was done, in things that are the same on every machine. */
interface Work {
  /** Of SQL, and the rows that they were answered with. */
  statements: number
  rows: number
  /** Of the engine. */
  calls: number
  /** To the router. */
  bytes: number
}

const none: Work = { statements: 0, rows: 0, calls: 0, bytes: 0 }

interface Counted {
  stage: Stage
  work: Work
  /** The database, when nothing is to be counted. */
  file: Db
  /** Each statement once. */
  asked: Map<string, CompiledQuery>
}

/** A daemon over so many other apps, each with a release on its way, and a router; all that it does is counted. */
async function openWith(others: number): Promise<Counted> {
  const work = { ...none }
  const asked: Counted['asked'] = new Map()
  let file: Db | undefined
  const own: Own = (parts) => {
    file = parts.db
    const db = file.withPlugin(counting(work, file, asked))
    const routers = createRouters(
      { clock: systemClock, log: parts.log },
      {
        routes: (ids) => allRoutes(db, 'localhost', ids),
        ...{ pairs: async () => new Map(), challenges: () => [], changed: parts.poke, logLine() {} },
      },
    )
    routers.accept(routerOver(parts.world, work))
    return { db, routers }
  }
  const stage = await open(() => well, countingCalls(work), own)
  if (!file) throw new Error('there is no database')
  const all = file
  const { room } = stage.d.capacity
  // What memory is left is a sum over all dynos: so many rows, for each look that wants to start one. Only that it is asked counts here.
  stage.d.capacity.room = () => {
    work.statements += 2
    return room(all)
  }
  // It asks of the fifty largest that start or leave, at most, and not more often than every two seconds.
  stage.d.capacity.measure = async () => {}
  await fill(stage.d.config.data, others)
  await file.updateTable('rollouts').set({ state: 'booting' }).where('version', '=', 50).execute()
  await stage.d.routers.publish()
  assert.ok((await stage.deploy()).succeeded)
  return { stage, work, file, asked }
}

const counting = (work: Work, db: Db, asked: Counted['asked']): KyselyPlugin => ({
  transformQuery({ node, queryId }) {
    const query = db.getExecutor().compileQuery(node, queryId)
    asked.set(query.sql, query)
    work.statements++
    return node
  },
  async transformResult({ result }) {
    work.rows += result.rows.length
    return result
  },
})

const countingCalls =
  (work: Work) =>
  (engine: Engine): Engine =>
    new Proxy(engine, {
      get(target, name) {
        const member = target[name as keyof Engine]
        if (typeof member !== 'function') return member
        return (...of: unknown[]) => {
          work.calls++
          return Reflect.apply(member, target, of)
        }
      },
    })

/** Follows at once, reaches what listens, and has nothing under way. */
function routerOver(world: World, work: Work): WebSocket {
  let table: Table = { version: 0, apps: [], challenges: [] }
  const router = { id: 'r', host: 'h', pid: 1, workers: 1 }
  const receipt = { inFlight: 0, finished: 0, cut: 0, failed: 0, took: 0 }
  const socket = Object.assign(new EventEmitter(), {
    OPEN: 1,
    readyState: 1,
    ping() {},
    terminate() {},
    close() {},
    send,
  })
  const say = (message: Up) => void socket.emit('message', JSON.stringify(message))
  const probe = (backend: string): void => {
    if (listening(world, backend)) say({ kind: 'health', backend, up: true, reason: '' })
    else if (world.dynos.has(backend)) setTimeout(probe, 1, backend)
  }
  function send(text: string): void {
    work.bytes += text.length
    const message = parseDown(text)
    if (message.kind === 'table') table = message.table
    if (message.kind === 'change') table = tableAfter(table, [message.change])
    setImmediate(() => {
      say({ kind: 'applied', version: table.version })
      for (const { id, mode } of table.apps.flatMap(({ backends }) => backends))
        if (mode === 'probe') probe(id)
        else if (mode === 'drain') say({ kind: 'drained', backend: id, receipt })
    })
  }
  setImmediate(() => say({ kind: 'hello', protocol: PROTOCOL, applied: 0, certificates: [], router }))
  return socket as unknown as WebSocket
}

const atRest = ({ stage, file }: Counted) =>
  stage.until('one dyno', async () => {
    const dynos = await file.selectFrom('dynos').select('state').where('app_id', '=', stage.app.id).execute()
    return dynos.length === 1 && dynos[0]?.state === 'up' && stage.world.dynos.size === 1
  })

/** A new release, until nothing of the old one is left. */
async function changed(it: Counted): Promise<Work> {
  const { d, app, account } = it.stage
  await atRest(it)
  Object.assign(it.work, none)
  await changeConfig(d, app, account, { SOME: 'thing' })
  const release = await newestNotFailed(it.file, app.id)
  assert.ok((await outcome(d, release?.id ?? '', signal)).succeeded)
  await atRest(it)
  return { ...it.work }
}

/** One look when nothing is to be done. */
async function looked(it: Counted): Promise<Work> {
  await it.stage.d.runner.stop()
  Object.assign(it.work, none)
  assert.is(await it.stage.look(), null)
  return { ...it.work }
}

/** Statements for which SQLite reads all of a table or an index. */
async function scans({ file, asked }: Counted): Promise<string[]> {
  const found: string[] = []
  for (const { sql, parameters } of asked.values()) {
    const explained = CompiledQuery.raw(`EXPLAIN QUERY PLAN ${sql}`, [...parameters])
    const { rows } = await file.executeQuery<{ detail: string }>(explained)
    if (rows.some(({ detail }) => /^SCAN (?!\S+ VIRTUAL)/.test(detail))) found.push(sql)
  }
  return found
}

test.after.each(closeAll)

test("what a change of one app takes does not grow with the number of apps: statements, rows, calls of the engine, routers' bytes", async () => {
  const [few, many] = [await openWith(10), await openWith(200)]
  many.asked.clear()
  const [before, now] = [await changed(few), await changed(many)]
  // How many looks share an event depends on the moment.
  assert.ok(now.statements < 2 * before.statements, `${now.statements} statements, ${before.statements} with few apps`)
  assert.ok(now.rows < 2 * before.rows, `${now.rows} rows, ${before.rows} with few apps`)
  assert.is(now.calls, before.calls)
  assert.ok(now.bytes < 1.5 * before.bytes, `${now.bytes} bytes, ${before.bytes} with few apps`)
  assert.equal(await looked(many), await looked(few))
  assert.equal(await scans(many), [])
})

test.run()
