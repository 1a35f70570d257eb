import type { Build as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { App } from '../app/app.ts'
import { isName, urnOf } from '../app/buildpack-name.ts'
import { permissionsOf } from '../app/permission.ts'
import { type Build, buildsOf, cancelBuild, findBuild, type Recorded, sourceUrl } from '../build/build.ts'
import { kindOf } from '../build/kind.ts'
import { requestBuild } from '../build/request.ts'
import { purgeCache } from '../build/slug/cache.ts'
import { publicSource } from '../build/source/download.ts'
import type { Daemon } from '../daemon.ts'
import { emailsOf } from './app.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, withApp } from './context.ts'
import { apiUrl, gitUrl } from './link.ts'
import { pageOf } from './page.ts'
import type { StreamUrl } from './stream.ts'
import { time } from './wire.ts'

/** Free text of a client's, which is shown in lists. */
export const line = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/^\P{Cc}*$/u, 'must not hold control characters')

const Create = z.object({
  source_blob: z.object({
    url: z.string(),
    checksum: z.string().nullish(),
    version: line(200).nullish(),
    version_description: line(1000).nullish(),
  }),
  buildpacks: z
    .array(z.union([z.object({ url: z.string() }), z.object({ name: z.string() })]))
    .max(100)
    .nullish(),
})

/** How builds of an app are answered. */
export type AnswerBuilds = (ctx: Context, app: App, builds: Build[]) => Promise<Body[]>

export function buildRoutes(routes: Routes, d: Daemon, streamUrl: StreamUrl): AnswerBuilds {
  const answer = async (ctx: Context, app: App, builds: Build[]): Promise<Body[]> => {
    const emails = await emailsOf(
      d,
      builds.map(({ account_id }) => account_id),
    )
    const whole = (await permissionsOf(d, app, ctx.state.account)).includes('deploy')
    const source = (build: Build): string => {
      const url = sourceUrl(d, build)
      if (url === undefined) return gitUrl(ctx, d.config, app)
      return whole ? url : publicSource(url)
    }
    return Promise.all(
      builds.map(async (build) => ({
        ...serialize(build, { source: source(build), email: emails.get(build.account_id) ?? '' }),
        output_stream_url: await streamUrl(apiUrl(ctx), `build-${build.id}`),
      })),
    )
  }
  const answerOne = async (ctx: Context, app: App, build: Build) => (await answer(ctx, app, [build]))[0]

  routes.get(
    '/apps/:app/builds',
    withApp(d, 'view', async (app, ctx) => answer(ctx, app, await pageOf(ctx, buildsOf(d.db, app.id), columns))),
  )
  routes.get(
    '/apps/:app/builds/:build',
    withApp(d, 'view', async (app, ctx) => answerOne(ctx, app, await findBuild(d.db, app.id, param(ctx, 'build')))),
  )
  routes.post(
    '/apps/:app/builds',
    withApp(d, 'deploy', async (app, ctx) => {
      const { source_blob: blob, buildpacks } = await body(ctx, Create)
      const build = await requestBuild(d, {
        app,
        account: ctx.state.account,
        blob: {
          url: blob.url,
          checksum: blob.checksum ?? null,
          version: blob.version || null,
          description: blob.version_description ?? null,
        },
        buildpacks: (buildpacks ?? []).map((one) => ('url' in one ? one.url : one.name)),
      })
      return created(ctx, await answerOne(ctx, app, build))
    }),
  )
  routes.delete(
    '/apps/:app/builds/:build',
    withApp(d, 'deploy', async (app, ctx) =>
      answerOne(ctx, app, await cancelBuild(d, app, ctx.state.account, param(ctx, 'build'))),
    ),
  )
  routes.delete(
    '/apps/:app/build-cache',
    withApp(d, 'deploy', async (app, ctx) => {
      await purgeCache(d, app, ctx.state.account)
      return {}
    }),
  )
  return answer
}

const columns = { created_at: 'created_at', id: 'id', updated_at: 'updated_at' }

/** Which version it was: a commit is named as `buildpacks:set` takes it, so that the same can be had again. */
const pinned = ({ url, name, revision }: Recorded) => ({
  url: isName(url)
    ? urnOf(url)
    : /^[0-9a-f]{40}$/.test(revision ?? '')
      ? `${url.replace(/#.*/s, '')}#${revision}`
      : url,
  name,
  ...(revision === undefined ? {} : { revision }),
})

export const serialize = (build: Build, { source, email }: { source: string; email: string }) =>
  ({
    id: build.id,
    app: { id: build.app_id },
    buildpacks: (JSON.parse(build.buildpacks) as Recorded[]).map(pinned),
    generation: 'cedar',
    source_blob: {
      checksum: build.source_checksum,
      url: source,
      version: build.version,
      version_description: build.version_description,
    },
    release: build.release_id === null ? null : { id: build.release_id },
    slug: build.slug_id === null || kindOf(build) === 'container' ? null : { id: build.slug_id },
    stack: build.stack,
    status: build.status,
    user: { id: build.account_id, email },
    created_at: time(build.created_at),
    updated_at: time(build.updated_at),
  }) satisfies Body
