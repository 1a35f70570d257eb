import { readFile } from 'node:fs/promises'
import { Failure } from '../settings.ts'

/** What `setup` in a heroku.yml says of an app before its first build. */
export interface Manifest {
  config: Record<string, string>
}

/** The one of this folder. */
export async function readManifest(): Promise<Manifest> {
  const text = await readFile('heroku.yml', 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new Failure('There is no heroku.yml in this folder.')
    throw new Failure(`heroku.yml cannot be read: ${error.message}`)
  })
  return parsed(text)
}

export async function parsed(text: string): Promise<Manifest> {
  const { parse } = await import('yaml')
  const manifest = attempt(() => parse(text))
  const setup = isObject(manifest) && isObject(manifest.setup) ? manifest.setup : {}
  if (Array.isArray(setup.addons) && setup.addons.length > 0)
    throw new Failure('There are no add-ons on this platform. Remove setup.addons from heroku.yml.')
  const config = setup.config ?? {}
  if (!isObject(config)) throw new Failure('setup.config in heroku.yml is no list of NAME: value.')
  for (const [name, value] of Object.entries(config))
    if (value === null || typeof value === 'object') throw new Failure(`setup.config.${name} in heroku.yml is no text.`)
  return { config: Object.fromEntries(Object.entries(config).map(([name, value]) => [name, String(value)])) }
}

function attempt(parse: () => unknown): unknown {
  try {
    return parse()
  } catch (error) {
    throw new Failure(`heroku.yml is no YAML: ${(error as Error).message}`)
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
