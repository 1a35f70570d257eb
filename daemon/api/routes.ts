import Router from '@koa/router'
import type { Daemon } from '../daemon.ts'
import { accountRoutes } from './account.ts'
import { acmRoutes } from './acm.ts'
import { activityRoutes } from './activity.ts'
import { addOnRoutes } from './add-on.ts'
import { appRoutes } from './app.ts'
import { appFeatureRoutes } from './app-feature.ts'
import { appSetupRoutes } from './app-setup.ts'
import { appTransferRoutes } from './app-transfer.ts'
import { authorizationRoutes } from './authorization.ts'
import { authorizeRoutes } from './authorize.ts'
import { backupRoutes } from './backup.ts'
import { buildRoutes } from './build.ts'
import { buildpackRoutes } from './buildpack.ts'
import { buildpackInstallationRoutes } from './buildpack-installation.ts'
import { cliRoutes } from './cli.ts'
import { clientRoutes } from './client.ts'
import { collaboratorRoutes } from './collaborator.ts'
import { configVarRoutes } from './config-var.ts'
import type { Routes, State } from './context.ts'
import { diskRoutes } from './disk.ts'
import { domainRoutes } from './domain.ts'
import { dynoRoutes } from './dyno.ts'
import { dynoSizeRoutes } from './dyno-size.ts'
import { execRoutes } from './exec.ts'
import { filterRoutes } from './filter.ts'
import { formationRoutes } from './formation.ts'
import { healthRoutes } from './health.ts'
import { invitationRoutes } from './invitation.ts'
import { keyRoutes } from './key.ts'
import { logDrainRoutes } from './log-drain.ts'
import { logSessionRoutes } from './log-session.ts'
import { loginRoutes } from './login.ts'
import { metricsRoutes } from './metrics.ts'
import { nodeRoutes } from './node.ts'
import { oauthTokenRoutes } from './oauth-token.ts'
import { passwordResetRoutes } from './password-reset.ts'
import { pipelineRoutes } from './pipeline.ts'
import { pipelineConfigVarRoutes } from './pipeline-config-var.ts'
import { pipelineCouplingRoutes } from './pipeline-coupling.ts'
import { pipelineLatestRoutes } from './pipeline-latest.ts'
import { pipelinePromotionRoutes } from './pipeline-promotion.ts'
import { platformRoutes } from './platform.ts'
import { regionRoutes } from './region.ts'
import { releaseRoutes } from './release.ts'
import { reviewAppRoutes } from './review-app.ts'
import { reviewAppConfigRoutes } from './review-app-config.ts'
import { routerRoutes } from './router.ts'
import { schemaRoutes } from './schema.ts'
import { sessionRoutes } from './session.ts'
import { slugRoutes } from './slug.ts'
import { sniEndpointRoutes } from './sni-endpoint.ts'
import { sourceRoutes } from './source.ts'
import { spaceRoutes } from './space.ts'
import { stackRoutes } from './stack.ts'
import { statusRoutes } from './status.ts'
import { streamRoutes } from './stream.ts'
import { teamRoutes } from './team.ts'
import { teamAppRoutes } from './team-app.ts'
import { teamInvitationRoutes } from './team-invitation.ts'
import { teamMemberRoutes } from './team-member.ts'
import { webhookRoutes } from './webhook.ts'
import { webhookDeliveryRoutes } from './webhook-delivery.ts'
import { webhookEventRoutes } from './webhook-event.ts'

/** Every route of the API: `open` ones are read without a token (their links are secrets, or what they say is none). */
export function createRoutes(d: Daemon): { open: Routes; closed: Routes } {
  const open: Routes = new Router<State>()
  const closed: Routes = new Router<State>()
  const streamUrl = streamRoutes(open, d)
  buildpackRoutes(open, d)
  statusRoutes(open, d)
  healthRoutes(open, d)
  logSessionRoutes({ open, closed }, d)
  accountRoutes(closed, d)
  activityRoutes(closed, d)
  appRoutes(closed, d)
  appFeatureRoutes(closed, d)
  appTransferRoutes(closed, d)
  authorizationRoutes(closed, d)
  const builds = buildRoutes(closed, d, streamUrl)
  authorizeRoutes(open, d)
  buildpackInstallationRoutes(closed, d)
  cliRoutes(open, d)
  clientRoutes(closed, d)
  collaboratorRoutes(closed, d)
  configVarRoutes(closed, d)
  domainRoutes(closed, d)
  dynoRoutes(closed, d)
  dynoSizeRoutes(closed, d)
  execRoutes(closed, d)
  formationRoutes(closed, d)
  invitationRoutes(open, d)
  keyRoutes(closed, d)
  loginRoutes(open, d)
  oauthTokenRoutes({ open, closed }, d)
  passwordResetRoutes({ open, closed }, d)
  sessionRoutes(closed, d)
  regionRoutes(closed)
  const releases = releaseRoutes(closed, d, streamUrl)
  slugRoutes({ open, closed }, d)
  sourceRoutes({ open, closed }, d)
  stackRoutes(closed, d)
  addOnRoutes(closed, d)
  logDrainRoutes(closed, d)
  pipelineRoutes(closed, d)
  pipelineCouplingRoutes(closed, d)
  pipelineConfigVarRoutes(closed, d)
  pipelineLatestRoutes(closed, d, { builds, releases })
  pipelinePromotionRoutes(closed, d)
  filterRoutes(closed, d)
  appSetupRoutes(closed, d, streamUrl)
  reviewAppRoutes(closed, d)
  reviewAppConfigRoutes(closed, d)
  routerRoutes(closed, d)
  backupRoutes(closed, d)
  diskRoutes(closed, d)
  nodeRoutes(closed, d)
  metricsRoutes(closed, d)
  platformRoutes(closed, d)
  sniEndpointRoutes(closed, d)
  spaceRoutes(closed)
  // paths with a word in place of a team's name before those with a name
  teamAppRoutes(closed, d)
  teamInvitationRoutes(closed, d)
  teamRoutes(closed, d)
  teamMemberRoutes(closed, d)
  acmRoutes(closed, d)
  webhookRoutes(closed, d)
  webhookDeliveryRoutes(closed, d)
  webhookEventRoutes(closed, d)
  schemaRoutes(open, closed)
  return { open, closed }
}
