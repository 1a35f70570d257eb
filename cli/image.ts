import { setTimeout as pause } from 'node:timers/promises'
import { ask } from './api.ts'
import { type AppChoice, appOf, appOption, remoteOption } from './app.ts'
import { USAGE } from './command.ts'
import { json, say } from './output.ts'
import type { Program } from './program.ts'
import { Failure } from './settings.ts'
import { examples } from './usage.ts'

interface Release {
  id: string
  version: number
  description: string
  status: 'pending' | 'succeeded' | 'failed' | 'expired'
}

export const register = (program: Program): void =>
  void program
    .command('image')
    .description(
      'release images by their digests, of another registry or pushed here, and wait until the release serves',
    )
    .argument('<type=image...>', 'process type and HOST/NAME@sha256:..., or sha256:... of what was pushed here')
    .addOption(appOption)
    .addOption(remoteOption)
    .option('--json', 'print the release as JSON')
    .addHelpText(
      ...examples(
        '$ sluice image web=registry.example.com/shop@sha256:0f6c... --app shop',
        '$ sluice image web=sha256:0f6c... worker=sha256:77ab... --app shop',
      ),
    )
    .action(image)

/** Fails when the release did not come to serve. */
async function image(words: string[], choice: AppChoice & { json?: boolean }): Promise<void> {
  const updates = words.map(parse)
  const app = await appOf(choice)
  const path = `/apps/${encodeURIComponent(app)}`
  const before = await newest(path)
  await ask('PATCH', `${path}/formation`, { body: { updates } })
  const release = await settled(path, await newest(path))
  if (release.status === 'expired')
    throw new Failure(`v${release.version} of ${app} was superseded by a later release. See: sluice releases -a ${app}`)
  if (release.status === 'failed')
    throw new Failure(`v${release.version} of ${app} failed. Why, and what serves: sluice logs -a ${app}`)
  if (choice.json) json(release)
  else if (release.id === before.id) say(`${app} has these images already: v${release.version} serves.`)
  else say(`v${release.version} of ${app} serves: ${release.description}`)
}

function parse(word: string): { type: string; docker_image: string } {
  const [, type, reference] = /^([^=]+)=(.+)$/.exec(word) ?? []
  if (type === undefined || reference === undefined)
    throw new Failure(
      `Expected ${word} to be TYPE=HOST/NAME@sha256:... or TYPE=sha256:...\nSee more help with --help`,
      USAGE,
    )
  return { type, docker_image: reference }
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
