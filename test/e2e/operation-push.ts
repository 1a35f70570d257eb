import { done, either, type Operation, refused, type Told } from './operation.ts'
import type { Platform } from './platform.ts'
import { type Procfile, type Source, web } from './source.ts'

const told = async (push: Promise<{ code: number | null; output: string }>): Promise<Told> => {
  const { code, output } = await push
  return code === 0 ? done : refused(output)
}

/** The version that the app answers with; all of several answers have the same. */
export async function answers(platform: Platform, app: string): Promise<string> {
  const replies = await Promise.all(Array.from({ length: 8 }, () => platform.request(app)))
  const bodies = new Set(replies.map(({ body }) => body.split(' ')[0] ?? ''))
  return [...bodies].join(' and ')
}

/** An app that is pushed to, one version after the other. */
export interface Pushed {
  /** New code, which is compiled. */
  push: Operation
  /** The same, with a release command. */
  withCommand: Operation
  /** The same code in another commit: the slug is used again. In effect when its release serves. */
  again: Operation
  /** Code that does not boot: refused, whatever is struck. */
  broken: Operation
}

export function pushed(platform: Platform, app: string, source: Source): Pushed {
  let number = 1
  /** What answers should the last push have come to something, and what did before it. */
  let [after, before] = ['v1', 'v1']
  const push = async (procfile: Procfile): Promise<Told> => {
    before = await answers(platform, app)
    after = `v${++number}`
    await source.version(after, procfile)
    return told(platform.push(source, app))
  }
  const inEffect = async () => either(await answers(platform, app), { after, before })
  const current = async () => (await platform.releases(app)).find(({ current }) => current)?.description ?? ''
  let commit = ''
  return {
    push: { perform: () => push({ web }), inEffect },
    withCommand: { perform: () => push({ web, release: 'echo migrating' }), inEffect },
    again: {
      async perform() {
        before = await current()
        commit = await source.commit({})
        return told(platform.push(source, app))
      },
      inEffect: async () => either(await current(), { after: `Deploy ${commit.slice(0, 8)}`, before }),
    },
    broken: {
      async perform() {
        const said = await push({ web: 'echo no database; exit 3' })
        // It is in effect that it failed.
        return { ...said, done: /web\.1 exited with status 3/.test(said.words) }
      },
      async inEffect() {
        const newest = (await platform.releases(app)).at(-1)
        if ((await answers(platform, app)) !== before) throw new Error('what cannot boot serves')
        return newest?.status === 'failed'
      },
    },
  }
}

/** The first push to an app that is new. */
export function firstPush(platform: Platform, source: Source): Operation {
  let number = 0
  return {
    async perform() {
      if (number > 0) await platform.api('DELETE', `/apps/first-${number}`)
      await platform.createApp(`first-${++number}`)
      return told(platform.push(source, `first-${number}`))
    },
    inEffect: async () => (await platform.releases(`first-${number}`)).length === 2,
  }
}
