import { parse, YAMLError } from 'yaml'
import { z } from 'zod'
import { invalid, messageOf } from '../../errors.ts'
import { checkSize, checkVar } from '../../release/config.ts'
import { checkTypes } from '../procfile.ts'
import { unreadableYaml } from '../yaml.ts'

/** What a `heroku.yml` says: https://devcenter.heroku.com/articles/build-docker-images-heroku-yml */
export interface HerokuYml {
  setup: { addons: string[]; config: Record<string, string> }
  /** By process type. */
  images: Map<string, Recipe>
  /** ARGs of every image. */
  args: Record<string, string>
  /** By process type, `release` included: a command line, null for the image's own, and the type whose image runs it. */
  processes: Map<string, { command: string | null; image: string }>
}

export interface Recipe {
  /** Path from the top of the source. */
  dockerfile: string
  target: string | undefined
}

const Scalar = z
  .union([z.string(), z.number(), z.boolean()], 'must be a text, a number, true or false')
  .transform(String)
const Config = z.record(z.string(), Scalar)
const Path = z.string('must be the path of a Dockerfile')
const Command = z.union(
  [z.string().transform((command) => [command]), z.array(z.string()).min(1).max(100)],
  'must be a command, or a list of commands',
)
const Whole = z.strictObject({
  setup: z
    .strictObject({
      addons: z.array(z.union([z.string(), z.looseObject({ plan: z.string() })], 'must be a plan')).optional(),
      config: Config.optional(),
    })
    .optional(),
  build: z.strictObject({
    docker: z
      .record(
        z.string(),
        z.union([
          Path.transform((dockerfile) => ({ dockerfile, target: undefined })),
          z
            .strictObject({ dockerfile: Path, target: z.string().optional() })
            .transform(({ dockerfile, target }) => ({ dockerfile, target })),
        ]),
      )
      .refine((images) => Object.keys(images).length > 0, 'names no image'),
    config: Config.optional(),
  }),
  release: z.strictObject({ command: Command, image: z.string().optional() }).optional(),
  run: z
    .record(
      z.string(),
      z.union([
        z.string().transform((command) => ({ command: [command], image: undefined })),
        z.strictObject({ command: Command.optional(), image: z.string().optional() }),
      ]),
    )
    .optional(),
})

/** As if this were written: an app with nothing but a Dockerfile. */
export const dockerfileOnly = (): HerokuYml => ({
  setup: { addons: [], config: {} },
  images: new Map([['web', { dockerfile: 'Dockerfile', target: undefined }]]),
  args: {},
  processes: new Map([['web', { command: null, image: 'web' }]]),
})

/** Throws UserError that says, of each thing that is wrong, where it is. */
export function parseHerokuYml(text: string): HerokuYml {
  const { setup, build, release, run = {} } = read(text)
  const images = new Map(Object.entries(build.docker).map(([type, recipe]) => [type, placed(type, recipe)]))
  const processes: HerokuYml['processes'] = new Map()
  for (const type of images.keys()) processes.set(type, { command: null, image: type })
  for (const [type, { command, image = type }] of Object.entries(run)) {
    requireImage(images, image, `run.${type}`)
    processes.set(type, { command: command ? inOrder(command) : null, image })
  }
  if (release) {
    const image = release.image ?? (images.has('release') ? 'release' : 'web')
    requireImage(images, image, 'release')
    processes.set('release', { command: inOrder(release.command), image })
  }
  for (const type of processes.keys())
    if (type.startsWith('-')) throw wrong([`The process type ${type.slice(0, 100)} begins with a dash.`])
  const config = setup?.config ?? {}
  const args = build.config ?? {}
  try {
    checkTypes(Object.fromEntries([...processes].map(([type, { command }]) => [type, command ?? 'CMD'])))
    for (const [name, value] of Object.entries({ ...config, ...args })) checkVar(name, value)
    checkSize(config)
    checkSize(args)
  } catch (error) {
    throw wrong([messageOf(error)])
  }
  const addons = (setup?.addons ?? []).map((one) => (typeof one === 'string' ? one : one.plan))
  return { setup: { addons, config }, images, args, processes }
}

/** One after the other, until one fails. */
const inOrder = (commands: string[]): string => commands.join(' && ')

function read(text: string): z.output<typeof Whole> {
  let whole: unknown
  const unreadable = unreadableYaml(text)
  if (unreadable !== undefined) throw wrong([`It is not read, because ${unreadable}.`])
  try {
    whole = parse(text, { merge: true, maxAliasCount: 100 })
  } catch (error) {
    const line = error instanceof YAMLError ? error.linePos?.[0].line : undefined
    const why = messageOf(error)
      .split('\n')[0]
      ?.replace(/ at line .*/, '')
    throw wrong([`It is not valid YAML${line === undefined ? '' : ` (line ${line})`}: ${why}.`])
  }
  const foreign = (whole as { build?: Record<string, unknown> } | null)?.build
  for (const key of ['languages', 'packages'])
    if (foreign && typeof foreign === 'object' && Object.hasOwn(foreign, key))
      throw wrong([
        `build.${key} is not supported: here, images are built of Dockerfiles (build.docker). For a buildpack, set another stack: heroku stack:set heroku-24.`,
      ])
  const { success, data, error } = Whole.safeParse(whole)
  if (success) return data
  throw wrong(error.issues.slice(0, MOST_ERRORS).map(sentence))
}

const MOST_ERRORS = 20

/** Of a union, the issue that is nearest to what was meant. */
function sentence({ path, message, ...issue }: z.core.$ZodIssue): string {
  const nested = issue.code === 'invalid_union' ? (issue.errors as z.core.$ZodIssue[][]).at(-1)?.[0] : undefined
  if (nested && nested.code !== 'invalid_type') return sentence({ ...nested, path: [...path, ...nested.path] })
  const place = path.map(String).join('.')
  return `${place === '' ? '' : `${place}: `}${message.charAt(0).toLowerCase()}${message.slice(1)}`
}

function placed(type: string, { dockerfile, target }: Recipe): Recipe {
  const parts = dockerfile.split('/').filter((part) => part !== '' && part !== '.')
  if (dockerfile.startsWith('/') || parts.includes('..') || parts.length === 0)
    throw wrong([`build.docker.${type}: "${dockerfile.slice(0, 200)}" is not a path in the source.`])
  return { dockerfile: parts.join('/'), target }
}

function requireImage(images: ReadonlyMap<string, unknown>, image: string, place: string): void {
  if (images.has(image)) return
  const built = [...images.keys()].join(', ')
  throw wrong([
    `${place}: no image ${image.slice(0, 100)} is built. Add it to build.docker, or name one that is: \`image\` may be ${built}.`,
  ])
}

const wrong = (sentences: string[]) =>
  invalid(`heroku.yml is not valid, so nothing was built:\n${sentences.map((one) => `- ${one}`).join('\n')}`)
