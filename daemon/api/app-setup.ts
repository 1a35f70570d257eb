import type { AppSetup as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { findTeam } from '../account/team.ts'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { appUrl } from '../names.ts'
import { buildOf, createSetup, findSetup, type Setup } from '../pipeline/setup.ts'
import { body } from './body.ts'
import { line } from './build.ts'
import { type Context, param, type Routes, reply } from './context.ts'
import { apiUrl } from './link.ts'
import { REGION } from './region.ts'
import type { StreamUrl } from './stream.ts'
import { time } from './wire.ts'

export const SourceBlob = z.object({
  url: z.string().max(4096),
  checksum: z.string().nullish(),
  version: line(200).nullish(),
})
const Create = z.object({
  source_blob: SourceBlob,
  app: z
    .object({
      ...{ name: z.string(), region: z.string(), stack: z.string(), space: z.string() },
      ...{ organization: z.string(), locked: z.boolean() },
    })
    .partial()
    .optional(),
  overrides: z
    .object({ buildpacks: z.array(z.object({ url: z.string() })), env: z.record(z.string(), z.string()) })
    .partial()
    .optional(),
})

export function appSetupRoutes(routes: Routes, d: Daemon, streamUrl: StreamUrl): void {
  const answer = async (ctx: Context, { setup, app }: { setup: Setup; app: App }): Promise<Body> => {
    const build = await buildOf(d.db, setup)
    const output_stream_url = build && (await streamUrl(apiUrl(ctx), `build-${build.id}`))
    return { ...serialize(d, setup, app), build: build && output_stream_url ? { ...build, output_stream_url } : null }
  }
  routes.post(
    '/app-setups',
    reply(async (ctx) => {
      const { source_blob, app = {}, overrides = {} } = await body(ctx, Create)
      const { name, region, stack, space, organization, locked = false } = app
      if (region !== undefined && region !== REGION)
        throw invalid(`There is no region ${region} here; the only one is ${REGION}.`)
      if (space !== undefined) throw invalid('There are no private spaces here.')
      if (organization !== undefined) await findTeam(d.db, organization)
      const { url, checksum = null, version = null } = source_blob
      const setup = await createSetup(d, ctx.state.account, {
        app: { name, stack, ...(organization === undefined ? {} : { team: { locked } }) },
        order: {
          place: { kind: 'url', url, checksum, version },
          env: overrides.env ?? {},
          buildpacks: overrides.buildpacks?.map((buildpack) => buildpack.url) ?? null,
          ...{ environment: null, manifest: true, stack: stack !== undefined },
        },
      })
      ctx.status = 202
      return answer(ctx, await findSetup(d.db, ctx.state.account, setup.id))
    }),
  )
  routes.get(
    '/app-setups/:setup',
    reply(async (ctx) => answer(ctx, await findSetup(d.db, ctx.state.account, param(ctx, 'setup')))),
  )
}

const serialize = (d: Daemon, setup: Setup, app: App) =>
  ({
    id: setup.id,
    app: { id: app.id, name: app.name },
    status: setup.state === 'succeeded' || setup.state === 'failed' ? setup.state : 'pending',
    failure_message: setup.failure_message,
    manifest_errors: JSON.parse(setup.manifest_errors),
    postdeploy:
      setup.postdeploy_exit_code === null
        ? null
        : { output: setup.postdeploy_output ?? '', exit_code: setup.postdeploy_exit_code },
    resolved_success_url: setup.success_url === null ? null : resolved(appUrl(d.config, app.name), setup.success_url),
    created_at: time(setup.created_at),
    updated_at: time(setup.updated_at),
  }) satisfies Body

/** A path of the app, or any web page. */
const resolved = (base: string, url: string): string | null => {
  if (!URL.canParse(url, base)) return null
  const { href, protocol } = new URL(url, base)
  return protocol === 'http:' || protocol === 'https:' ? href : null
}
