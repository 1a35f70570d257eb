import type { Butane } from './coreos.ts'

/** The Ignition 3.3.0 config that Butane makes of a config: https://coreos.github.io/ignition/configuration-v3_3/ */
export function ignitionOf({ variant: _, version: __, ...config }: Butane): object {
  return { ignition: { version: '3.3.0' }, ...(camel(config) as object) }
}

/** Names in the way of JSON, and what is written inline as a URL. */
function camel(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camel)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) =>
      name === 'inline'
        ? ['source', `data:,${encodeURIComponent(inner)}`]
        : [name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()), camel(inner)],
    ),
  )
}
