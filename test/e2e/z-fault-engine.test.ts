import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Fault, openEngineProxy } from './engine-proxy.ts'
import { openFailpoints } from './failpoint.ts'
import { startLoad, underLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import type { Source } from './source.ts'
import { read } from './story.ts'
import { waitFor } from './wait.ts'
import { whole } from './whole.ts'

/** The engine refuses, loses its answer or hangs, once, at each of the calls that an operation makes. */
const proxy = await openEngineProxy()
/** Longer than what a busy machine takes for an honest answer. */
const points = await openFailpoints({ engineAnswer: 8000, stopGrace: 3000 })
const platform = await startPlatform({ ...points.settings, ...proxy.settings })
test.after(async () => {
  await platform.stop()
  await points.close()
  await proxy.close()
})
const { api } = platform

/** Beside one another, because most of the time is waiting for what hangs. */
const apps = Array.from({ length: 6 }, (_, n) => `struck-${n + 1}`)
const sources = new Map<string, Source>()
const deployed = async (app: string) => void sources.set(app, await platform.deploy(app))
await platform.prepare(() => Promise.all(apps.map(deployed)))
let count = 0

type Operation = (app: string) => Promise<void>

/** Why a release failed, if it did, says what the engine did, and what serves now. */
async function ended(app: string): Promise<void> {
  const { version = 0 } = (await platform.releases(app)).at(-1) ?? {}
  if ((await platform.settled(app, version)).status === 'succeeded') return
  const line = (await read(platform, app)).find((line) => line.includes(`Release v${version} failed`))
  assert.match(line ?? 'no line', /could not be started: The Docker engine .* still serves\.$/)
}

const configChange: Operation = async (app) => {
  await api('PATCH', `/apps/${app}/config-vars`, { COUNT: String(++count) })
  await ended(app)
}

const build: Operation = async (app) => {
  const source = sources.get(app)
  await source?.version(`v${++count}`)
  const { code, output } = await platform.push(source as Source, app)
  if (code !== 0) assert.match(output, /The Docker engine /, output)
}

const rollback: Operation = async (app) => {
  const others = (await platform.releases(app)).filter(
    ({ version, status, current }) => version > 1 && status === 'succeeded' && !current,
  )
  await api('POST', `/apps/${app}/releases`, { release: String(others.at(-1)?.version) })
  await ended(app)
}

/** The ids of its web dynos, when it has so many and all are up. */
const webUp = (app: string, quantity: number, holds: (ids: string[]) => boolean = () => true): Promise<string[]> =>
  waitFor(
    `${quantity} web dynos of ${app}`,
    async () => {
      const dynos = await platform.dynos(app)
      const ids = dynos.filter(({ state }) => state === 'up').map(({ id }) => id)
      return dynos.length === quantity && ids.length === quantity && holds(ids) && ids
    },
    { within: 90_000 },
  )

const scale: Operation = async (app) => {
  for (const quantity of [2, 1]) {
    await api('PATCH', `/apps/${app}/formation/web`, { quantity })
    await webUp(app, quantity)
  }
}

const restart: Operation = async (app) => {
  const [before = ''] = await webUp(app, 1)
  await api('DELETE', `/apps/${app}/dynos/web.1`)
  await webUp(app, 1, (ids) => !ids.includes(before))
}

/** Of an app that goes as soon as it has come, whatever came of its push. */
const creation: Operation = async (app) => {
  const name = await platform.createApp(`passing-${++count}`)
  await platform.push(sources.get(app) as Source, name)
  await api('DELETE', `/apps/${name}`)
}

/** Those by which a dyno comes and goes. */
const STARTS_AND_ENDS = /^(POST .containers.(create|\*.(start|kill))|DELETE .containers.\*)$/

/** With the kinds of calls that are struck: each call of them, or the first, where what follows is what another operation does as well. */
const operations: { name: string; operation: Operation; kinds: RegExp; first?: true }[] = [
  { name: 'a config change', operation: configChange, kinds: /^(?!GET .*(events|info|logs|stats|containers.json))/ },
  { name: 'a rollback', operation: rollback, kinds: STARTS_AND_ENDS, first: true },
  { name: 'a scaling', operation: scale, kinds: STARTS_AND_ENDS, first: true },
  { name: 'a restart', operation: restart, kinds: STARTS_AND_ENDS, first: true },
  { name: 'a build', operation: build, kinds: / of a build$|GET .(info$|images.*json)/, first: true },
  {
    name: 'a creation and a destruction',
    operation: creation,
    kinds: /networks(?!.* of a build)|GET .(volumes|images.json)/,
    first: true,
  },
]

/** Requests a second to each app: together no more than a busy machine serves. */
const RATE = 10

interface Strike {
  kind: string
  nth: number
  fault: Fault
}

/** What is asked again while something is waited for is struck at the first few. */
const OFTEN = 3

const kindsMade = new Set<string>()
const kindsStruck = new Set<string>()

/** What is to be struck of what it asks of the engine; what hangs takes long, so each kind does once in all operations. */
async function strikesOf({ operation, kinds, first }: (typeof operations)[number]): Promise<Strike[]> {
  await whole(platform)
  proxy.tally()
  await operation(apps[0] ?? '')
  await whole(platform)
  const calls = [...proxy.tally()]
  for (const [kind] of calls) kindsMade.add(kind)
  return calls
    .filter(([kind]) => kinds.test(kind))
    .flatMap(([kind, times]) => {
      const hang: Strike[] = kindsStruck.has(kind) ? [] : [{ kind, nth: 1, fault: 'hang' }]
      kindsStruck.add(kind)
      const each = Array.from({ length: first ? 1 : Math.min(times, OFTEN) }, (_, n) => n + 1)
      // later ones of a kind are lost, which is worse than what is refused
      const others = each.flatMap((nth) =>
        (nth === 1 ? (['error', 'lost'] as const) : (['lost'] as const)).map((fault) => ({ kind, nth, fault })),
      )
      return [...hang, ...others]
    })
}

/** Does it until a call has been made and struck. */
async function struck(app: string, operation: Operation, { kind, nth, fault }: Strike): Promise<void> {
  const strike = proxy.strike(kind, fault, nth)
  const again = async () => {
    await operation(app)
    return strike.done
  }
  await waitFor(`${fault} at the ${nth}. ${kind}`, again, { within: 120_000 })
}

for (const one of operations)
  test(`${one.name} with an engine that refuses a call, loses its answer or never gives one: no request fails, and all is whole afterwards`, async () => {
    const strikes = await strikesOf(one)
    assert.ok(strikes.length > 6, 'it asks the engine for next to nothing')
    const load = (app: string) => startLoad(platform.ports.http, `${app}.localhost`, undefined, RATE)
    await underLoad(Object.fromEntries(apps.map((app) => [app, load(app)])), async () => {
      try {
        await Promise.all(
          apps.map(async (app) => {
            for (let strike = strikes.shift(); strike; strike = strikes.shift())
              await struck(app, one.operation, strike)
          }),
        )
        await whole(platform)
      } finally {
        proxy.heal()
      }
    })
    for (const app of apps) {
      await api('PATCH', `/apps/${app}/config-vars`, { COUNT: String(++count) })
      const { version = 0 } = (await platform.releases(app)).at(-1) ?? {}
      assert.is((await platform.settled(app, version)).status, 'succeeded')
    }
  })

/** Those that are asked beside operations too, so that nobody knows whose is struck. */
const elsewhere = /^GET .*(events|logs|stats|containers.json)$/

test('each kind of call that was made is struck here, or in the tests of the engine behind the proxy', () => {
  const left = [...kindsMade].filter((kind) => !kindsStruck.has(kind) && !elsewhere.test(kind))
  assert.equal(left, [])
})

test.run()
