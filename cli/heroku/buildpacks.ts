import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { header, json, say, warn } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { registerRegistry } from './buildpack-registry.ts'
import { appCommand, at } from './command.ts'

interface Installation {
  ordinal: number
  buildpack: { url: string; name: string }
}

export function register(program: Program): void {
  changing(program, 'buildpacks', 'list the buildpacks of an app').action(async (options) =>
    show(await appOf(options), options.json),
  )
  changing(program, 'buildpacks:add', 'add a buildpack, behind the others or at a place')
    .argument('<buildpack>', 'namespace/name or URL')
    .option('-i, --index <index>', 'place in the list, from 1')
    .action(async (buildpack, options) => add(await appOf(options), buildpack, options))
  changing(program, 'buildpacks:set', 'set the buildpack, or the one at a place')
    .argument('<buildpack>', 'namespace/name or URL')
    .option('-i, --index <index>', 'place in the list, from 1')
    .action(async (buildpack, options) => set(await appOf(options), buildpack, options))
  changing(program, 'buildpacks:remove', 'remove a buildpack, by its name, URL or place')
    .argument('[buildpack]', 'namespace/name or URL')
    .option('-i, --index <index>', 'place in the list, from 1')
    .action(async (buildpack, options) => remove(await appOf(options), buildpack, options))
  changing(program, 'buildpacks:clear', 'remove all buildpacks').action(async (options) => {
    const app = await appOf(options)
    await clear(app, 'Buildpacks cleared.', options.json)
  })
  registerRegistry(program)
}

const changing = (program: Program, name: string, description: string) =>
  appCommand(program, name, description).option('-j, --json', 'output in json format', false)

interface Form {
  remote?: string | undefined
  index?: string | undefined
  json: boolean
}

const path = (app: string): string => at('apps', app, 'buildpack-installations')
const plain = (installation: Installation): Installation => ({
  ...installation,
  buildpack: { ...installation.buildpack, url: installation.buildpack.url.replace(/^urn:buildpack:/, '') },
})
const fetched = async (app: string): Promise<Installation[]> => (await list<Installation>(path(app))).map(plain)

async function put(app: string, urls: string[]): Promise<Installation[]> {
  const updates = urls.map((buildpack) => ({ buildpack }))
  return (await ask<Installation[]>('PUT', path(app), { body: { updates } })).map(plain)
}

async function show(app: string, asJson: boolean): Promise<void> {
  const buildpacks = await fetched(app)
  if (asJson) return json(buildpacks)
  if (buildpacks.length === 0) return say(`${app} has no Buildpacks.`)
  header(`${app} Classic Buildpack${buildpacks.length > 1 ? 's' : ''} (from the Heroku Buildpack Registry)`)
  display(buildpacks, '')
}

function display(buildpacks: Installation[], indent: string): void {
  const [only, other] = buildpacks
  if (only && !other) return say(only.buildpack.name)
  for (const [n, { buildpack }] of buildpacks.entries()) say(`${indent}${n + 1}. ${buildpack.name}`)
}

function index(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const place = Number(text)
  if (!Number.isInteger(place) || place <= 0) throw new Failure('Invalid index. Must be greater than 0.')
  return place
}

const urls = (buildpacks: Installation[]): string[] => buildpacks.map(({ buildpack }) => buildpack.url)
const placeOf = (buildpacks: Installation[], wanted: string): number =>
  buildpacks.findIndex(({ buildpack }) => buildpack.url === wanted || buildpack.name === wanted)

function notYet(buildpacks: Installation[], wanted: string): void {
  if (placeOf(buildpacks, wanted) !== -1) throw new Failure(`The buildpack ${wanted} is already set on your app.`)
}

async function add(app: string, buildpack: string, form: Form): Promise<void> {
  const place = index(form.index)
  const before = await fetched(app)
  notYet(before, buildpack)
  const after = await put(app, urls(before).toSpliced((place ?? before.length + 1) - 1, 0, buildpack))
  told(app, form, after, 'added')
}

async function set(app: string, buildpack: string, form: Form): Promise<void> {
  const place = index(form.index) ?? 1
  const before = await fetched(app)
  notYet(before, buildpack)
  told(app, form, await put(app, urls(before).toSpliced(place - 1, 1, buildpack)), 'set')
}

async function remove(app: string, buildpack: string | undefined, form: Form): Promise<void> {
  const place = index(form.index)
  if (place !== undefined && buildpack !== undefined)
    throw new Failure('Please choose either index or Buildpack, but not both.')
  if (place === undefined && buildpack === undefined)
    throw new Failure(
      'Usage: sluice buildpacks:remove [BUILDPACK_URL]. Must specify a buildpack to remove, either by index or URL.',
      2,
    )
  const before = await fetched(app)
  if (before.length === 0)
    throw new Failure(`No buildpacks were found. Next release on ${app} will detect buildpack normally.`)
  if (place !== undefined && place > before.length)
    throw new Failure(
      before.length === 1
        ? 'Invalid index. Only valid value is 1.'
        : `Invalid index. Please choose a value between 1 and ${before.length}`,
    )
  const found = place === undefined ? placeOf(before, buildpack ?? '') : place - 1
  if (found === -1) throw new Failure('Buildpack not found. Nothing was removed.')
  if (before.length === 1) await clear(app, 'Buildpack removed.', form.json)
  else told(app, form, await put(app, urls(before).toSpliced(found, 1)), 'removed')
}

async function clear(app: string, message: string, asJson: boolean): Promise<void> {
  await put(app, [])
  if (asJson) return json([])
  const config = await ask<Record<string, string>>('GET', at('apps', app, 'config-vars'))
  const left = ['BUILDPACK_URL', 'LANGUAGE_PACK_URL'].find((name) => config[name])
  if (left === undefined) return say(`${message} Next release on ${app} will detect buildpacks normally.`)
  say(message)
  warn(`The ${left} config var is still set and will be used for the next release`)
}

function told(app: string, { remote = 'heroku', json: asJson }: Form, buildpacks: Installation[], done: string): void {
  if (asJson) return json(buildpacks)
  const [only, other] = buildpacks
  const these = other ? 'these buildpacks' : 'this buildpack'
  if (only && !other) say(`Buildpack ${done}. Next release on ${app} will use ${only.buildpack.name}.`)
  else {
    say(`Buildpack ${done}. Next release on ${app} will use:`)
    display(buildpacks, '  ')
  }
  say(`Run git push ${remote} main to create a new release using ${these}.`)
}
