import type { Stack as Body } from '@heroku-cli/schema'
import { defaultStack, type Stack, stacks } from '../app/stack.ts'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { type Context, param, type Routes, reply, withApp } from './context.ts'
import { idOf, named, time } from './wire.ts'

export function stackRoutes(routes: Routes, d: Daemon): void {
  const list = (ctx: Context): Body[] => {
    warnOfOrigin(d, ctx)
    return stacks.map(serialize)
  }
  routes.get('/stacks', reply(list))
  routes.get(
    '/stacks/:stack',
    reply((ctx) => {
      const wanted = param(ctx, 'stack')
      const stack = stacks.find((name) => name === wanted || idOf('stack', name) === wanted)
      if (!stack) throw notFound('stack', 'stack')
      return serialize(stack)
    }),
  )
  routes.get(
    '/apps/:app/available-stacks',
    withApp(d, 'view', (_app, ctx) => list(ctx)),
  )
}

/** Clients print this header; it is how `heroku stack` shows which images stand behind a name. */
function warnOfOrigin(d: Daemon, ctx: Context): void {
  const own = stacks.filter((name) => name !== 'container' && origin(d, name) === 'debian')
  if (own.length > 0)
    ctx.set(
      'X-Heroku-Warning',
      `On this host ${own.join(' and ')} ${own.length > 1 ? 'mean' : 'means'} Sluice's own Debian images, not Heroku's.`,
    )
}

/** A stack whose images are not there yet has none. */
function origin(d: Daemon, name: Stack): 'official' | 'debian' | undefined {
  try {
    return d.stack(name).origin
  } catch {
    return undefined
  }
}

const serialize = (name: Stack) =>
  ({
    ...named('stack', name),
    default: name === defaultStack,
    state: 'public',
    created_at: time(0),
    updated_at: time(0),
  }) satisfies Body
