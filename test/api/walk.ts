import { linkOf } from '../schema/schema.ts'
import type { Answer, Host } from './host.ts'
import { runInstantly, type Scripts } from './pipeline-rig.ts'
import { walkAccounts, walkOAuth } from './walk-account.ts'
import { walkApp, walkDomains, walkRuns } from './walk-app.ts'
import { walkBuilds, walkSetup } from './walk-build.ts'
import { walkPipelines, walkReviewApps } from './walk-pipeline.ts'
import { walkTeam, walkTeamApps } from './walk-team.ts'
import { walkWebhooks } from './walk-webhook.ts'
import type { WebhookRig } from './webhook-rig.ts'

export type Step = [method: string, path: string, body?: unknown, token?: string | null]

/** What the parts of the walk share. */
export interface Walk {
  host: Host
  /** What stands in for containers. */
  scripts: Scripts
  /** Throws when the answer is a refusal or, because that shows nothing, an empty list. */
  ask(...step: Step): Promise<Answer>
  /** What such an answer says. */
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  get(...step: Step): Promise<any>
  all(steps: Step[]): Promise<void>
  /** The token of a new account. */
  invite(email: string): Promise<string>
}

/** Performs a step of the walk, more than once if it likes: the answer that it returns is the step's. */
export type Around = (perform: () => Promise<Answer>, method: string, path: string) => Promise<Answer>

/** Asks for one answer of each link that is there, each of which `host.request` compares with the schema; which links were answered. */
export async function walk(rig: WebhookRig, around: Around = (perform) => perform()): Promise<Set<string>> {
  const seen = new Set<string>()
  const at = start(rig.host, seen, around)
  await walkAccounts(at)
  await walkOAuth(at)
  await at.all([
    ['POST', '/apps', { name: 'walk' }],
    ['POST', '/apps', { name: 'walk-prod' }],
  ])
  await walkBuilds(at)
  await walkSetup(at)
  await walkApp(at)
  await walkDomains(at)
  await walkWebhooks(at, rig)
  await walkTeam(at)
  await walkTeamApps(at)
  await walkPipelines(at)
  await walkReviewApps(at)
  await walkRuns(at)
  await at.all([['DELETE', '/apps/walk']])
  return seen
}

function start(host: Host, seen: Set<string>, around: Around): Walk {
  const ask: Walk['ask'] = async (method, path, body, token) => {
    const sent = { ...(body === undefined ? {} : { body }), ...(token === undefined ? {} : { token }) }
    const answer = await around(() => host.request(method, path, sent), method, path)
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`)
    if (Array.isArray(answer.json) && answer.json.length === 0) throw new Error(`${method} ${path}: an empty list`)
    const link = linkOf(method, path)
    if (link) seen.add(link.name)
    await host.settled()
    return answer
  }
  return {
    host,
    scripts: runInstantly(host),
    ask,
    get: async (...step) => (await ask(...step)).json,
    async all(steps) {
      for (const step of steps) await ask(...step)
    },
    invite: async (email) => (await host.invite(email)).token,
  }
}
