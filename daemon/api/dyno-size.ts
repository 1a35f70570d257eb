import type { DynoSize as Body } from '@heroku-cli/schema'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { type DynoSize, dynoSizes } from '../run/size.ts'
import { param, type Routes, reply, withApp } from './context.ts'
import { idOf, named } from './wire.ts'

const GiB = 1024 ** 3

export function dynoSizeRoutes(routes: Routes, d: Daemon): void {
  const names = Object.keys(dynoSizes) as DynoSize[]
  routes.get(
    '/dyno-sizes',
    reply(() => names.map(serialize)),
  )
  routes.get(
    '/dyno-sizes/:size',
    reply((ctx) => {
      const wanted = param(ctx, 'size').toLowerCase()
      const name = names.find((one) => one.toLowerCase() === wanted || idOf('dyno-size', one) === wanted)
      if (!name) throw notFound('dyno size', 'dyno_size')
      return serialize(name)
    }),
  )
  routes.get(
    '/apps/:app/available-dyno-sizes',
    withApp(d, 'view', () => names.map(serialize)),
  )
}

const serialize = (name: DynoSize) =>
  ({
    ...named('dyno-size', name),
    architecture: 'amd64',
    memory: dynoSizes[name].memory / GiB,
    compute: dynoSizes[name].cpu,
    precise_dyno_units: dynoSizes[name].memory / (GiB / 2),
    dedicated: false,
    private_space_only: false,
    generation: named('generation', 'cedar'),
    cost: null,
  }) satisfies Body
