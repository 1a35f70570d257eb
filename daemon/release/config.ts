import type { Actor } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { faultOf } from '../route/setting.ts'
import { faultOf as dynoFaultOf } from '../run/setting.ts'
import { decide } from '../store/database.ts'
import { announceRelease, createRelease, newestNotFailed, openConfig } from './release.ts'

type Vars = Record<string, string>

/** The config vars that the next release starts from: those of the newest release that has not failed. */
export async function currentConfig(d: Daemon, app: string): Promise<Vars> {
  const release = await newestNotFailed(d.db, app)
  return release ? openConfig(d, release) : {}
}

/** By name: a value, or null for none. */
type Changes = Record<string, string | null>

/**
 * Sets (string) and unsets (null) config vars as one decision and one release; a change that changes nothing makes none. Two at once
 * both land. Returns all config vars after it. Throws UserError for bad names or too much.
 */
export async function changeConfig(
  d: Daemon,
  app: { id: string },
  account: Actor,
  wanted: Changes | ((before: Vars) => Changes),
): Promise<Vars> {
  const { config, release, description } = await decide(d.db, async (tx) => {
    const base = await newestNotFailed(tx, app.id)
    const before = base ? openConfig(d, base) : {}
    const changes = typeof wanted === 'function' ? wanted(before) : wanted
    for (const [name, value] of Object.entries(changes)) checkVar(name, value)
    const { config, set, unset } = applyChanges(before, changes)
    checkSize(config)
    if (set.length + unset.length === 0) return { config, release: null, description: '' }
    const description = describe(set, unset)
    return {
      config,
      description,
      release: await createRelease(d, tx, { app: app.id, account, description, config }),
    }
  })
  if (release) await failpoint('config.released')
  if (release) announceRelease(d, release, account, description)
  return config
}

export function applyChanges(before: Vars, changes: Changes) {
  const config = { ...before }
  const set: string[] = []
  const unset: string[] = []
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) {
      if (Object.hasOwn(config, name)) unset.push(name)
      delete config[name]
    } else {
      if (!Object.hasOwn(config, name) || config[name] !== value) set.push(name)
      config[name] = value
    }
  }
  return { config, set, unset }
}

/** Heroku's words: `Set A, B config vars`, `Remove A config vars`. */
export function describe(set: string[], unset: string[]): string {
  const parts = [set.length > 0 ? `Set ${set.join(', ')}` : '', unset.length > 0 ? `Remove ${unset.join(', ')}` : '']
  return `${parts.filter(Boolean).join(' and ')} config vars`
}

/** Any name that bash can export and a file can have (builds see config vars as files); `__proto__` and the like cannot be told from JavaScript's own. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/

export function checkVar(name: string, value: string | null): void {
  if (!NAME.test(name) || name === '__proto__')
    throw invalid(
      `"${name.slice(0, 100)}" is not a valid config var name: use at most 128 letters, digits and underscores, and no digit first.`,
    )
  if (value?.includes('\0'))
    throw invalid(`The value of ${name} contains a NUL character, which no environment variable can hold.`)
  const fault = faultOf(name, value ?? '') ?? dynoFaultOf(name, value ?? '')
  if (fault !== undefined) throw invalid(fault)
}

export function checkSize(config: Vars): void {
  const size = Object.entries(config).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value) + 2,
    0,
  )
  if (size > limits.configSize)
    throw invalid(
      `Config vars may have ${limits.configSize / 1024} KB in all; this change would make them ${Math.ceil(size / 1024)} KB.`,
    )
}
