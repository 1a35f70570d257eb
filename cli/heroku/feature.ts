import { header, say, styled } from '../output.ts'
import { fields } from './fields.ts'

export interface Feature {
  name: string
  description: string
  doc_url: string
  enabled: boolean
  /** `general` ones are managed by `features`, others by `labs`. */
  state: string
}

export const byName = (a: Feature, b: Feature): number => a.name.localeCompare(b.name)

export function showFeatures(title: string, features: Feature[]): void {
  header(title)
  const longest = Math.max(0, ...features.map(({ name }) => name.length))
  for (const { name, enabled, description } of features) {
    const line = `${enabled ? '[+]' : '[ ]'} ${name.padEnd(longest)}`
    say(`${enabled ? styled('green', line) : line}  ${description}`)
  }
}

export function showFeature({ name, description, doc_url, enabled }: Feature): void {
  header(name)
  fields({ Description: description, Docs: doc_url, Enabled: String(enabled) })
}
