import { invalid } from '../errors.ts'

/** What a token may be for, in Heroku's words: https://devcenter.heroku.com/articles/oauth#scopes */
export const scopes = ['global', 'identity', 'read', 'write', 'read-protected', 'write-protected'] as const
export type Scope = (typeof scopes)[number]

/** What somebody does. `protected` is what shows or sets config vars; `account` is what is about accounts and tokens. */
export type Reach = 'identity' | 'account' | 'read' | 'write' | 'read-protected' | 'write-protected'

/** The scopes that allow it, beside `global`. */
const ALLOWED: Record<Reach, readonly Scope[]> = {
  identity: ['identity'],
  account: [],
  read: ['read', 'write', 'read-protected', 'write-protected'],
  write: ['write', 'write-protected'],
  'read-protected': ['read-protected', 'write-protected'],
  'write-protected': ['write-protected'],
}

export const allows = (has: readonly Scope[], reach: Reach): boolean =>
  has.includes('global') || ALLOWED[reach].some((scope) => has.includes(scope))

/** Throws UserError for a scope that there is not. None at all means `global`, as clients leave it out. */
export function parseScopes(wanted: readonly string[]): Scope[] {
  const unknown = wanted.find((one) => !scopes.includes(one as Scope))
  if (unknown !== undefined)
    throw invalid(`There is no scope ${unknown.slice(0, 100)}. The scopes are ${scopes.join(', ')}.`)
  return wanted.length === 0 ? ['global'] : scopes.filter((one) => wanted.includes(one))
}

export const scopesOf = (row: { scope: string }): Scope[] => JSON.parse(row.scope)
