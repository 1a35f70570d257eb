import { parseAllDocuments } from 'yaml'
import { messageOf, UserError } from '../../errors.ts'
import { checkVar } from '../../release/config.ts'
import { isType, MOST_TYPES } from '../procfile.ts'
import { unreadableYaml } from '../yaml.ts'

/** What a buildpack's bin/release says: https://devcenter.heroku.com/articles/buildpack-api#bin-release */
export interface Metadata {
  /** Type to command; a Procfile comes before them. */
  defaults: Map<string, string>
  /** For the first deploy of an app, as far as they are not set. Undocumented, but the official Ruby buildpack has them. */
  configVars: Record<string, string>
  addons: string[]
}

/**
 * Reads what a bin/release printed, which may be nothing, `---` or `--- {}`; entries that are none are left out. Throws UserError, in
 * Heroku's words, for what is no YAML or no mapping.
 */
export function parseMetadata(yaml: string): Metadata {
  const document = parse(yaml) ?? {}
  if (typeof document !== 'object' || Array.isArray(document))
    throw unreadable(`a mapping is expected, not ${Array.isArray(document) ? 'a list' : `a ${typeof document}`}`)
  const { default_process_types, config_vars, addons } = document as Record<string, unknown>
  const types = entriesOf(default_process_types).filter(([type, command]) => isType(type) && command.trim() !== '')
  if (types.length > MOST_TYPES) throw unreadable(`more than ${MOST_TYPES} process types`)
  const vars = entriesOf(config_vars)
  for (const [name, value] of vars) checked(name, value)
  return {
    defaults: new Map(types),
    configVars: Object.fromEntries(vars),
    addons: Array.isArray(addons) ? addons.filter((addon) => typeof addon === 'string').slice(0, MOST_ADDONS) : [],
  }
}

const MOST_ADDONS = 20

function checked(name: string, value: string): void {
  try {
    checkVar(name, value)
  } catch (error) {
    throw unreadable(messageOf(error))
  }
}

/** As Ruby reads it: only the first document counts, and of two equal keys the second. */
function parse(yaml: string): unknown {
  const why = unreadableYaml(yaml)
  if (why !== undefined) throw unreadable(why)
  try {
    const [first] = parseAllDocuments(yaml, { uniqueKeys: false, logLevel: 'silent' })
    if (first === undefined || !('errors' in first)) return undefined
    const [fault] = first.errors
    if (fault) throw fault
    return first.toJS({ maxAliasCount: 10 })
  } catch (error) {
    throw unreadable(messageOf(error).split('\n')[0]?.replace(/:$/, '') ?? '')
  }
}

/** Numbers and booleans are the text that they stand for, since few put `true` or 5 in quotes. */
const entriesOf = (value: unknown): [string, string][] =>
  typeof value !== 'object' || value === null || Array.isArray(value)
    ? []
    : Object.entries(value).flatMap(([name, text]) => (isText(text) ? [[name, String(text)]] : []))

const isText = (value: unknown): value is string | number | boolean =>
  ['string', 'number', 'boolean'].includes(typeof value)

const unreadable = (why: string): UserError =>
  new UserError(
    'invalid_params',
    `Push failed: failed to read buildpack metadata: ${why.slice(0, 300)}\nA bin/release must print YAML, such as "default_process_types: {web: bin/start}", or nothing.`,
  )
