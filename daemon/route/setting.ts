import type { AppRoute, Watch } from '../../router/protocol.ts'
import { limits } from '../limits.ts'
import { checkPath, checkTimes } from './health.ts'

/** What a release's config vars ask of the routers. Pure. */
export interface Settings {
  /** When it is the release that gets the requests. */
  route?: RouteSettings
  /** Of its dynos, when their code has none. */
  checks?: { readiness: Watch }
}

export type RouteSettings = Pick<AppRoute, 'errorPage' | 'maintenancePage' | 'hold' | 'grace' | 'hsts'>

const SECOND = 1000
const LONGEST_URL = 2000

interface Rule {
  /** Adds the setting; undefined when the value is not allowed. */
  read(value: string): Settings | undefined
  /** What is allowed, behind the var's name. */
  must: string
}

const page = (name: 'errorPage' | 'maintenancePage'): Rule => ({
  read(value) {
    const url = pageUrl(value)
    return url === undefined ? undefined : { route: { [name]: url } }
  },
  must: `must be a web address that begins with https://, http:// or //, without a password, of at most ${LONGEST_URL} characters`,
})

const seconds = (name: 'hold' | 'grace' | 'hsts', most: number, unit: number): Rule => ({
  read(value) {
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
    return number <= most ? { route: { [name]: number * unit } } : undefined
  },
  must: `must be a whole number of seconds from 0 to ${most}`,
})

const health: Rule = {
  read(value) {
    if (value.length > limits.checkPath || !checkPath.test(value)) return undefined
    return { checks: { readiness: { path: value, ...checkTimes } } }
  },
  must: `must be a path of at most ${limits.checkPath} characters that begins with "/" and has neither spaces nor other characters that a URL cannot have`,
}

/** The pages as Heroku calls them (https://devcenter.heroku.com/articles/error-pages#customize-pages); the others are ours. */
export const settingVars: ReadonlyMap<string, Rule> = new Map([
  ['ERROR_PAGE_URL', page('errorPage')],
  ['MAINTENANCE_PAGE_URL', page('maintenancePage')],
  ['SLUICE_HOLD_SECONDS', seconds('hold', 300, SECOND)],
  ['SLUICE_DRAIN_SECONDS', seconds('grace', 600, SECOND)],
  ['SLUICE_HSTS_SECONDS', seconds('hsts', 63_072_000, 1)],
  ['SLUICE_HEALTH_PATH', health],
])

/** Undefined when all is well with it. An empty value sets nothing. */
export function faultOf(name: string, value: string): string | undefined {
  const rule = settingVars.get(name)
  return rule === undefined || value === '' || rule.read(value) !== undefined ? undefined : `${name} ${rule.must}.`
}

/** Values that are not allowed set nothing, and are told. */
export function settingsOf(config: Readonly<Record<string, string>>): { settings: Settings; faults: string[] } {
  const settings: Settings = {}
  const faults: string[] = []
  for (const [name, rule] of settingVars) {
    const value = Object.hasOwn(config, name) ? config[name] : undefined
    if (value === undefined || value === '') continue
    const read = rule.read(value)
    if (read?.route) settings.route = { ...settings.route, ...read.route }
    if (read?.checks) settings.checks = read.checks
    const fault = faultOf(name, value)
    if (fault !== undefined) faults.push(fault)
  }
  return { settings, faults }
}

/** In ASCII, as an attribute takes it; without a scheme it has that of the page around it. */
function pageUrl(value: string): string | undefined {
  const bare = value.startsWith('//')
  let url: URL
  try {
    url = new URL(bare ? `https:${value}` : value)
  } catch {
    return undefined
  }
  const allowed = /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
  const text = bare ? url.href.slice(url.protocol.length) : url.href
  return allowed && text.length <= LONGEST_URL ? text : undefined
}
