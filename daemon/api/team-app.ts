import type { TeamApp as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { findMember } from '../account/member.ts'
import { findTeam, TEAM } from '../account/team.ts'
import { type App, appNamed, appsJoinedBy, appsOf, createApp, setLocked } from '../app/app.ts'
import { requestTransfer } from '../app/transfer.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { CreateApp, columns, requireRegion, serializeApp, serializeApps } from './app.ts'
import { showOffer } from './app-transfer.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, reply, withApp } from './context.ts'
import { Named, Somebody } from './identity.ts'
import { pageOf } from './page.ts'
import { requireReach } from './scope.ts'
import { withTeam } from './team.ts'

const Create = CreateApp.extend({
  team: Named.nullish(),
  locked: z.boolean().nullish(),
  personal: z.boolean().nullish(),
  space: Named.nullish(),
  internal_routing: z.boolean().nullish(),
})
const Update = z.object({ locked: z.boolean().optional(), owner: Somebody.optional() })

export function teamAppRoutes(routes: Routes, d: Daemon): void {
  const ofTeam = async (ctx: Context, apps: ReturnType<typeof appsOf>) =>
    serializeApps(d, ctx, await pageOf(ctx, apps.where('apps.owner_id', '=', TEAM), columns))
  routes.post(
    '/teams/apps',
    reply(async (ctx) => created(ctx, await serializeApp(d, ctx, await create(d, ctx)))),
  )
  routes.get(
    '/teams/apps/:app',
    withApp(d, 'view', (app, ctx) => serializeApp(d, ctx, app)),
  )
  routes.patch(
    '/teams/apps/:app',
    withApp(d, 'manage', (app, ctx) => update(d, ctx, app)),
  )
  routes.get(
    '/teams/:team/apps',
    withTeam(d, (_team, ctx) => ofTeam(ctx, appsOf(d.db, ctx.state.account))),
  )
  routes.get(
    '/teams/:team/members/:member/apps',
    withTeam(d, async (_team, ctx) => {
      const member = await findMember(d.db, param(ctx, 'member'))
      return ofTeam(ctx, appsJoinedBy(d.db, ctx.state.account, member))
    }),
  )
}

async function create(d: Daemon, ctx: Context): Promise<App> {
  const { name, region, stack, team, locked, personal, space, internal_routing } = await body(ctx, Create)
  requireRegion(region)
  if (space || internal_routing)
    throw invalid('There are no private spaces here: every app is reached from everywhere.')
  if (personal && locked)
    throw invalid('Only team apps can be locked: nobody sees a personal app but those it is shared with.')
  if (team) await findTeam(d.db, team)
  const wanted = { name: name ?? undefined, stack: stack ?? undefined }
  return createApp(d, ctx.state.account, { ...wanted, ...(personal ? {} : { team: { locked: locked ?? false } }) })
}

/** Another owner first: what leaves the team is not locked. */
async function update(d: Daemon, ctx: Context, app: App): Promise<Body> {
  const { locked, owner } = await body(ctx, Update)
  const { account } = ctx.state
  // as POST /account/app-transfers
  if (owner !== undefined) requireReach(ctx.state, 'account')
  const transfer = owner === undefined ? undefined : await requestTransfer(d, app, account, owner)
  // who has given the app away may see it no longer
  const changed = (transfer && (await appNamed(d.db, transfer.app.name))) ?? app
  const answer = await serializeApp(
    d,
    ctx,
    locked === undefined ? changed : await setLocked(d, changed, account, locked),
  )
  if (transfer?.state !== 'pending') return answer
  showOffer(ctx, transfer)
  return { ...answer, state: transfer.state }
}
