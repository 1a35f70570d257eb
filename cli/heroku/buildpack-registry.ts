import { ask, Refused } from '../api.ts'
import { header, json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { at } from './command.ts'
import { fields } from './fields.ts'
import { grid } from './table.ts'

interface Buildpack {
  namespace: string
  name: string
  description: string
  category: string
  support: { method: string; address: string }
  source: { type: string; owner: string; repo: string }
}

interface Revision {
  release: number
  created_at: string
  status: string
  license: string
}

/** The names that a buildpack can be had by: this platform's own, and those of the registry that it asks. */
export function registerRegistry(program: Program): void {
  program
    .command('buildpacks:search')
    .description('search for buildpacks')
    .argument('[term]', 'what is searched for in names, namespaces and descriptions')
    .option('--namespace <namespaces>', 'namespaces, comma-separated')
    .option('--name <names>', 'names, comma-separated')
    .option('--description <text>', 'what the description has to hold')
    .option('--json', 'output in json format', false)
    .action(search)
  program
    .command('buildpacks:info')
    .description('show what is known of a buildpack')
    .argument('<buildpack>', 'namespace/name of the buildpack')
    .option('-j, --json', 'output in json format', false)
    .action(info)
  program
    .command('buildpacks:versions')
    .description('list the versions of a buildpack')
    .argument('<buildpack>', 'namespace/name of the buildpack')
    .option('--json', 'output in json format', false)
    .action(versions)
}

interface Filter {
  namespace?: string | undefined
  name?: string | undefined
  description?: string | undefined
}

async function search(
  term: string | undefined,
  { json: asJson, ...filter }: Filter & { json: boolean },
): Promise<void> {
  const filters: Filter[] = term === undefined ? [filter] : [{ namespace: term }, { name: term }, { description: term }]
  const found = (await Promise.all(filters.map(matching))).flat()
  const unique = [...new Map(found.map((one) => [nameOf(one), one])).values()]
  if (asJson) return json(unique)
  if (unique.length === 0) return say('No buildpacks found')
  grid(
    {
      Buildpack: nameOf,
      Category: ({ category }) => category,
      Description: ({ description }) => description,
    },
    unique,
  )
  say(`\n${unique.length} buildpack${unique.length === 1 ? '' : 's'} found`)
}

const nameOf = ({ namespace, name }: Buildpack): string => `${namespace}/${name}`

function matching({ namespace, name, description }: Filter): Promise<Buildpack[]> {
  const query = new URLSearchParams()
  for (const word of namespace?.split(',') ?? []) query.append('in[namespace][]', word)
  for (const word of name?.split(',') ?? []) query.append('in[name][]', word)
  if (description) query.append('like[description]', description)
  return ask('GET', `/buildpacks?${query}`)
}

async function info(name: string, { json: asJson }: { json: boolean }): Promise<void> {
  const path = at('buildpacks', name)
  const found = await known(`Could not find the buildpack '${name}'`, async () => ({
    buildpack: await ask<Buildpack>('GET', path),
    revisions: await ask<Revision[]>('GET', `${path}/revisions`),
    readme: await ask<{ content?: string; encoding?: BufferEncoding }>('GET', `${path}/readme`),
  }))
  const { buildpack, readme } = found
  const told = {
    description: buildpack.description,
    category: buildpack.category,
    license: newestFirst(found.revisions)[0]?.license,
    support: supportOf(buildpack),
    source: buildpack.source.type === 'github' ? repositoryOf(buildpack) : undefined,
    readme: readme.content ? `\n${Buffer.from(readme.content, readme.encoding)}` : undefined,
  }
  if (asJson) return json(told)
  header(name)
  fields(told)
}

const repositoryOf = ({ source }: Buildpack): string => `https://github.com/${source.owner}/${source.repo}`

function supportOf(buildpack: Buildpack): string {
  const { method, address } = buildpack.support
  switch (method) {
    case 'email':
      return address.replace('mailto:', '')
    case 'github':
      return `${repositoryOf(buildpack)}/issues`
    case 'unsupported':
      return 'Unsupported by author'
    default:
      return address
  }
}

async function versions(name: string, { json: asJson }: { json: boolean }): Promise<void> {
  const all = await known(`Could not find '${name}'`, () =>
    ask<Revision[]>('GET', `${at('buildpacks', name)}/revisions`),
  )
  if (asJson) return json(newestFirst(all))
  grid(
    {
      Version: ({ release }) => release,
      'Released At': ({ created_at }) => created_at,
      Status: ({ status }) => status,
    },
    newestFirst(all),
  )
}

const newestFirst = (revisions: Revision[]): Revision[] => revisions.toSorted((a, b) => b.release - a.release)

const known = <Answer>(missing: string, work: () => Promise<Answer>): Promise<Answer> =>
  work().catch((error: unknown) => {
    throw error instanceof Refused && error.status === 404 ? new Failure(missing, 2) : error
  })
