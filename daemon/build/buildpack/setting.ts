import type { Setting } from '../../../buildpacks/bundled.ts'
import type { Config } from '../../config.ts'
import { run } from '../command.ts'

/** What bundled buildpacks are told by the operator; an empty value means that there is none, and the buildpack says what it lacks. */
export const settingsFor = (config: Config, settings: readonly Setting[]): Promise<[Setting, string][]> =>
  Promise.all(settings.map(async (setting): Promise<[Setting, string]> => [setting, await values[setting](config)]))

const values: Record<Setting, (config: Config) => Promise<string> | string> = {
  'npm-registry': ({ npmRegistry }) => npmRegistry ?? ofHost('npm', ['config', 'get', 'registry']),
  'pip-index': async ({ pipIndex }) => pipIndex ?? indexOf(await ofHost('pip3', ['config', 'list'])) ?? '',
}

/** The index in what `pip config list` says, by pip's own precedence; one that only this host can read is none. */
export function indexOf(list: string): string | undefined {
  const indexes = [':env:', 'install', 'global'].flatMap((section) =>
    list.split('\n').flatMap((line) => {
      const [name, value = ''] = line.split(/=(.*)/)
      return name === `${section}.index-url` ? value.replace(/^(['"])(.*)\1$/, '$2') : []
    }),
  )
  return indexes.find((index) => /^https?:\/\//.test(index))
}

const answers = new Map<string, Promise<string>>()

/** What a program of this host is set to; asked once. Empty when there is no such program. */
function ofHost(program: string, args: string[]): Promise<string> {
  const asked =
    answers.get(program) ??
    run(program, args, { cwd: '/' }).then(
      (answer) => answer.trim(),
      () => '',
    )
  answers.set(program, asked)
  return asked
}
