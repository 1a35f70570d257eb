import { call, idLabel } from './engine.ts'
import { done, either, type Operation, refused, type Told, telling } from './operation.ts'
import type { Platform } from './platform.ts'
import { read } from './story.ts'
import type { Dyno } from './view.ts'
import { waitFor } from './wait.ts'

/** What is done to an app with a `web` and a `clock` that has been deployed. */
export interface Changes {
  config: Operation
  rollback: Operation
  /** web to two dynos, or back to one. */
  scale: Operation
  /** web from two dynos to one. */
  shrink: Operation
  restart: Operation
  /** The clock is stopped, and comes back as another dyno. */
  stop: Operation
  /** The clock is killed, and comes back as another dyno. */
  crash: Operation
  /** A detached one-off dyno, which must run just once. */
  run: Operation
}

export function changes(platform: Platform, app: string): Changes {
  const { api } = platform
  let number = 0
  const dynos = (type: string): Promise<Dyno[]> =>
    platform.dynos(app).then((all) => all.filter((dyno) => dyno.type === type))
  const idOf = async (type: string) => (await dynos(type)).map(({ id }) => id).join()
  /** What has become of the newest release, as soon as that is known. */
  const outcome = async (): Promise<Told> => {
    const { version } = (await platform.releases(app)).at(-1) ?? { version: 0 }
    const { status } = await platform.settled(app, version)
    if (status === 'succeeded') return done
    const why = new RegExp(`Release v${version} failed`)
    return refused((await read(platform, app)).find((line) => why.test(line)) ?? '')
  }
  /** A release that is asked for by the API, and awaited unless the daemon goes away. */
  const releasing = (asked: Promise<unknown>): Promise<Told> =>
    asked.then(outcome).catch((error: Error) => telling(Promise.reject(error)))
  const colour = async () => JSON.parse((await platform.request(app, '/env')).body).COLOUR ?? ''

  let [before, after] = ['', '']
  /** Another dyno of this type than before. */
  const replaced = (type: string) => async () => {
    const now = await idOf(type)
    return now !== before && now !== ''
  }
  const scaleTo = async (quantity: number): Promise<Told> => {
    before = String((await dynos('web')).length)
    after = String(quantity)
    return telling(api('PATCH', `/apps/${app}/formation/web`, { quantity }))
  }
  const scaled = async () => either(String((await dynos('web')).length), { before, after })
  return {
    config: {
      async perform() {
        before = await colour()
        after = `colour-${++number}`
        return releasing(api('PATCH', `/apps/${app}/config-vars`, { COLOUR: after }))
      },
      inEffect: async () => either(await colour(), { before, after }),
    },
    rollback: {
      async perform() {
        before = await colour()
        const target = await releaseOfAnother(before)
        after = target.colour
        return releasing(api('POST', `/apps/${app}/releases`, { release: String(target.version) }))
      },
      inEffect: async () => either(await colour(), { before, after }),
    },
    scale: {
      async perform() {
        const { length } = await dynos('web')
        return scaleTo(length === 1 ? 2 : 1)
      },
      inEffect: scaled,
    },
    shrink: {
      async perform() {
        await scaleTo(2)
        await waitFor('two web dynos', async () => {
          const web = await dynos('web')
          return web.length === 2 && web.every(({ state }) => state === 'up')
        })
        return scaleTo(1)
      },
      inEffect: scaled,
    },
    restart: {
      async perform() {
        before = await idOf('web')
        return telling(api('DELETE', `/apps/${app}/dynos/web.1`))
      },
      inEffect: replaced('web'),
    },
    stop: {
      async perform() {
        before = await idOf('clock')
        return telling(api('POST', `/apps/${app}/dynos/clock.1/actions/stop`))
      },
      inEffect: replaced('clock'),
    },
    crash: {
      async perform() {
        // A release forgives earlier crashes: the next one is followed by a start at once.
        await releasing(api('PATCH', `/apps/${app}/config-vars`, { COLOUR: `colour-${++number}` }))
        before = await waitFor('the clock of that release to be up', async () => {
          const version = (await platform.releases(app)).at(-1)?.version
          const clock = (await dynos('clock')).find(
            ({ state, release }) => state === 'up' && release.version === version,
          )
          return clock?.id
        })
        const container = (await platform.containers()).find(({ Labels }) => Labels[idLabel] === before)
        await call('POST', `/containers/${container?.Id}/kill`)
        return done
      },
      inEffect: replaced('clock'),
    },
    run: {
      async perform() {
        after = `ran-${++number}`
        return telling(api('POST', `/apps/${app}/dynos`, { command: `echo ${after}`, attach: false }))
      },
      async inEffect() {
        const said = async () =>
          (await read(platform, app)).filter((line) => line.endsWith(`: ${after}`)).length || null
        const times = await waitFor(`the log to have ${after}`, said)
        if (times > 1) throw new Error(`a one-off dyno ran ${times} times`)
        return true
      },
    },
  }

  /** The newest that served with another colour. */
  async function releaseOfAnother(colour: string): Promise<{ version: number; colour: string }> {
    for (const { version, status } of (await platform.releases(app)).reverse()) {
      const vars = await api<{ COLOUR?: string }>('GET', `/apps/${app}/releases/${version}/config-vars`)
      if (status === 'succeeded' && version > 1 && vars.COLOUR && vars.COLOUR !== colour)
        return { version, colour: vars.COLOUR }
    }
    throw new Error(`no release of ${app} has another colour than ${colour}`)
  }
}
