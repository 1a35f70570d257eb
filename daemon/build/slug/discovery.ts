import { shown } from '../check.ts'
import type { Output } from '../output.ts'
import type { Result } from './result.ts'

/** Which process types a build has found, in Heroku's look; below `Discovering process types`. */
export function showTypes(output: Output, result: Result): void {
  const { declared, defaults, description, buildpacks, warnings, oddities, checks } = result
  const left = 'Procfile declares types'
  const right = buildpacks.length === 1 ? `Default types for ${description}` : 'Default types for buildpack'
  const width = defaults.length > 0 ? Math.max(left.length, right.length) : left.length
  const list = (types: string[]) => [...types].sort().join(', ') || '(none)'
  for (const warning of warnings) output.problem(warning)
  if (oddities.length > 0) {
    output.blank()
    output.oddity(oddities.join('\n'))
    output.blank()
  }
  output.detail(`${left.padEnd(width)} -> ${list(declared)}`)
  if (defaults.length > 0) output.detail(`${right.padEnd(width)} -> ${list(defaults)}`)
  output.blank()
  if (checks) output.step(`Health check of web: ${shown(checks)}`)
}
