import Router from '@koa/router'
import type { Daemon } from '../daemon.ts'
import { accountRoutes } from './account.ts'
import { addOnRoutes } from './add-on.ts'
import { appRoutes } from './app.ts'
import { appFeatureRoutes } from './app-feature.ts'
import { authorizationRoutes } from './authorization.ts'
import { buildRoutes } from './build.ts'
import { buildpackRoutes } from './buildpack.ts'
import { buildpackInstallationRoutes } from './buildpack-installation.ts'
import { collaboratorRoutes } from './collaborator.ts'
import { configVarRoutes } from './config-var.ts'
import type { Routes, State } from './context.ts'
import { domainRoutes } from './domain.ts'
import { dynoRoutes } from './dyno.ts'
import { dynoSizeRoutes } from './dyno-size.ts'
import { execRoutes } from './exec.ts'
import { formationRoutes } from './formation.ts'
import { logDrainRoutes } from './log-drain.ts'
import { logSessionRoutes } from './log-session.ts'
import { oauthRoutes } from './oauth.ts'
import { pipelineCouplingRoutes } from './pipeline-coupling.ts'
import { regionRoutes } from './region.ts'
import { releaseRoutes } from './release.ts'
import { slugRoutes } from './slug.ts'
import { sniEndpointRoutes } from './sni-endpoint.ts'
import { stackRoutes } from './stack.ts'
import { streamRoutes } from './stream.ts'
import { teamRoutes } from './team.ts'

/** Every route of the API: `open` ones are read without a token (their links are secrets, or what they say is none). */
export function createRoutes(d: Daemon): { open: Routes; closed: Routes } {
  const open: Routes = new Router<State>()
  const closed: Routes = new Router<State>()
  const streamUrl = streamRoutes(open, d)
  buildpackRoutes(open)
  logSessionRoutes({ open, closed }, d)
  accountRoutes(closed, d)
  appRoutes(closed, d)
  appFeatureRoutes(closed, d)
  authorizationRoutes(closed, d)
  buildRoutes(closed, d, streamUrl)
  buildpackInstallationRoutes(closed, d)
  collaboratorRoutes(closed, d)
  configVarRoutes(closed, d)
  domainRoutes(closed, d)
  dynoRoutes(closed, d)
  dynoSizeRoutes(closed, d)
  execRoutes(closed, d)
  formationRoutes(closed, d)
  oauthRoutes(closed)
  regionRoutes(closed)
  releaseRoutes(closed, d, streamUrl)
  slugRoutes(closed, d)
  stackRoutes(closed, d)
  addOnRoutes(closed, d)
  logDrainRoutes(closed, d)
  pipelineCouplingRoutes(closed, d)
  sniEndpointRoutes(closed, d)
  teamRoutes(closed)
  return { open, closed }
}
