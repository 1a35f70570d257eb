import { ask, list, Refused } from '../api.ts'
import { json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { at } from './command.ts'
import { grid } from './table.ts'

interface Difference {
  property: string
  app1: string | undefined
  app2: string | undefined
}

export function registerDiff(program: Program): void {
  program
    .command('apps:diff')
    .description('show in what two apps differ: code, config vars, stack, buildpacks, features')
    .argument('<app1>', 'first app to compare')
    .argument('<app2>', 'second app to compare')
    .option('--json', 'output in json format', false)
    .action(diff)
}

async function diff(app1: string, app2: string, { json: asJson }: { json: boolean }): Promise<void> {
  const [one, other] = await Promise.all([propertiesOf(app1), propertiesOf(app2)])
  const differences = [...new Set([...one.keys(), ...other.keys()])].flatMap((property): Difference[] => {
    const [a, b] = [one.get(property), other.get(property)]
    return a === b ? [] : [{ property, app1: a, app2: b }]
  })
  if (asJson) return json(differences)
  const order = ['slug', 'config', 'stack', 'buildpack', 'feature']
  const rank = ({ property }: Difference): number => order.indexOf(property.replace(/ .*/, ''))
  say('\n')
  grid(
    { [app1]: (row) => cut(row.app1), property: ({ property }) => property, [app2]: (row) => cut(row.app2) },
    differences.toSorted((a, b) => rank(a) - rank(b)),
  )
  say('\n')
}

const LONGEST = 56
const cut = (value = ''): string => (value.length > LONGEST ? `${value.slice(0, LONGEST)}...` : value)

/** What an app is made of, by names that two apps are compared by. */
async function propertiesOf(app: string): Promise<Map<string, string>> {
  const path = (...parts: string[]) => at('apps', app, ...parts)
  const { stack } = await ask<{ stack: { name: string } }>('GET', path()).catch((error: unknown) => {
    throw error instanceof Refused && error.status === 404 ? new Failure(`App not found: ${app}`) : error
  })
  const [checksum, config, buildpacks, features] = await Promise.all([
    checksumOf(app),
    ask<Record<string, string>>('GET', path('config-vars')),
    list<{ buildpack: { url: string } }>(path('buildpack-installations')),
    list<{ name: string; enabled: boolean }>(path('features')),
  ])
  return new Map([
    ...(checksum ? [['slug (checksum)', checksum] as const] : []),
    ...Object.entries(config).map(([key, value]) => [`config (${key})`, value] as const),
    ['stack', stack.name],
    ...buildpacks.map(({ buildpack }, n) => [`buildpack (${n})`, buildpack.url] as const),
    ...features.map(({ name, enabled }) => [`feature (${name})`, enabled ? 'enabled' : 'disabled'] as const),
  ])
}

async function checksumOf(app: string): Promise<string | null> {
  const headers = { range: 'version ..; max=1, order=desc' }
  const [release] = await ask<{ slug: { id: string } | null }[]>('GET', at('apps', app, 'releases'), { headers })
  if (!release?.slug) return null
  return (await ask<{ checksum: string | null }>('GET', at('apps', app, 'slugs', release.slug.id))).checksum
}
