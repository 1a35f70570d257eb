import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ask } from './api.ts'
import { type Program, words } from './program.ts'
import { Failure } from './settings.ts'

const USAGE = 'Usage: sluice image TYPE=HOST/NAME@sha256:... [TYPE=...] --app APP [--json].'

interface Release {
  id: string
  version: number
  description: string
  status: 'pending' | 'succeeded' | 'failed'
}

export const register = (program: Program): void =>
  words(program, 'image', async (args) => void process.stdout.write(await image(args)))

/**
 * Releases images of another registry by their digests, and waits until the release serves. Prints a sentence, or the release as JSON. Fails
 * when it did not come to serve.
 */
async function image(args: string[]): Promise<string> {
  const { app, json, updates } = parse(args)
  const path = `/apps/${encodeURIComponent(app)}`
  const before = await newest(path)
  await ask('PATCH', `${path}/formation`, { body: { updates } })
  const release = await settled(path, await newest(path))
  if (release.status === 'failed')
    throw new Failure(
      `v${release.version} of ${app} failed, and the release before it serves on. See: heroku logs -a ${app}`,
    )
  if (json) return `${JSON.stringify(release)}\n`
  return release.id === before.id
    ? `${app} has these images already: v${release.version} serves.\n`
    : `v${release.version} of ${app} serves: ${release.description}\n`
}

function parse(args: string[]): { app: string; json: boolean; updates: { type: string; docker_image: string }[] } {
  const options = { app: { type: 'string', short: 'a' }, json: { type: 'boolean', default: false } } as const
  const { values, positionals } = parsed(() => parseArgs({ args, options, allowPositionals: true }))
  const updates = positionals.map((word) => {
    const [, type, reference] = /^([^=]+)=(.+)$/.exec(word) ?? []
    if (type === undefined || reference === undefined) throw new Failure(USAGE)
    return { type, docker_image: reference }
  })
  if (values.app === undefined || updates.length === 0) throw new Failure(USAGE)
  return { app: values.app, json: values.json, updates }
}

function parsed<Result>(parse: () => Result): Result {
  try {
    return parse()
  } catch {
    throw new Failure(USAGE)
  }
}

async function newest(path: string): Promise<Release> {
  const headers = { range: 'version ..; max=1, order=desc' }
  const [release] = await ask<Release[]>('GET', `${path}/releases`, { headers })
  if (!release) throw new Failure('The app has no release.')
  return release
}

async function settled(path: string, { id }: Release): Promise<Release> {
  for (;;) {
    const release = await ask<Release>('GET', `${path}/releases/${id}`)
    if (release.status !== 'pending') return release
    await pause(500)
  }
}
