import { createReadStream } from 'node:fs'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { invalid } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { type Found, parseChecks } from '../check.ts'
import { fileIn } from '../source/peek.ts'
import { outOf, rewrite } from '../source/tar.ts'
import { parseDockerignore } from './dockerignore.ts'
import { dockerfileOnly, type HerokuYml, parseHerokuYml } from './heroku-yml.ts'

/** What a source for the container stack wants to be made of it, by its heroku.yml or by a Dockerfile alone. `tar` is the path of what came. */
export async function readSource(tar: string): Promise<HerokuYml> {
  const yaml = await textIn(tar, 'heroku.yml')
  if (yaml !== undefined) return parseHerokuYml(yaml)
  if ((await textIn(tar, 'Dockerfile')) !== undefined) return dockerfileOnly()
  throw invalid(
    [
      'Your app does not include a heroku.yml build manifest, and no Dockerfile. To deploy your app, either create a heroku.yml: https://devcenter.heroku.com/articles/build-docker-images-heroku-yml',
      "Or change your stack by running: 'heroku stack:set heroku-24'",
    ].join('\n'),
  )
}

/** The health check in its app.json. Throws UserError for what is none. */
export const readChecks = async (tar: string): Promise<Found> => parseChecks((await textIn(tar, 'app.json')) ?? '{}')

/** A Dockerfile with what it is built from: the folder that it is in, as on Heroku, without what its .dockerignore leaves out. */
export interface Context {
  /** Path in the context. */
  dockerfile: string
  text: string
  open(): Readable
}

export async function openContext(tar: string, path: string): Promise<Context> {
  const folder = posix.dirname(path)
  const dockerfile = posix.basename(path)
  const text = await textIn(tar, path)
  if (text === undefined)
    throw invalid(`There is no file ${path} in the source. Commit it, or correct its path in heroku.yml.`)
  const ignored = parseDockerignore((await textIn(tar, posix.join(folder, IGNORE))) ?? '')
  const up = folder === '.' ? (path: string) => path : outOf(folder)
  const place = (path: string): string | undefined => {
    const name = up(path)
    return name === undefined || name === dockerfile || name === IGNORE || !ignored(name) ? name : undefined
  }
  return {
    dockerfile,
    text,
    open: () => Readable.from(rewrite(createReadStream(tar), place), { objectMode: false }),
  }
}

const IGNORE = '.dockerignore'

const textIn = (tar: string, name: string): Promise<string | undefined> =>
  fileIn(tar, {
    name,
    most: limits.manifestSize,
    beyond: () => invalid(`${name} is larger than ${limits.manifestSize / 1024} KB.`),
  })
