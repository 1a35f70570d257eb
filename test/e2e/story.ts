import type { Platform } from './platform.ts'
import { waitFor } from './wait.ts'

/** The lines of an app's log, without their times. */
export type Story = string[]

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 /

/** Everything that is kept, as a log session gives it to any client. */
export async function text(platform: Platform, app: string): Promise<string> {
  const path = `/apps/${app}/log-sessions`
  const { logplex_url } = await platform.api<{ logplex_url: string }>('POST', path, { lines: 1500 })
  return (await fetch(logplex_url)).text()
}

export const read = async (platform: Platform, app: string): Promise<Story> => withoutTimes(await text(platform, app))

/** What `heroku logs` shows; the CLI strips the blanks around what a line says. */
export async function show(platform: Platform, app: string, ...args: string[]): Promise<Story> {
  const { code, stdout, output } = await platform.heroku(['logs', '--app', app, ...args])
  if (code !== 0) throw new Error(`heroku logs: ${output}`)
  return withoutTimes(stdout)
}

const withoutTimes = (text: string): Story =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      if (!TIME.test(line)) throw new Error(`this line has no time: ${line}`)
      return line.replace(TIME, '')
    })

/** What came after the lines of `before`, once its last line is `last`; but for the lines that `except` matches. */
export function since(
  platform: Platform,
  app: string,
  {
    before,
    last,
    except = /^(app\[(web|worker|build)|heroku\[router)/,
    within = 60_000,
  }: {
    before: Story
    last: RegExp
    except?: RegExp
    within?: number
  },
): Promise<Story> {
  return waitFor(
    `the log of ${app} to end with ${last}`,
    async () => {
      const story = (await read(platform, app)).slice(before.length).filter((line) => !except.test(line))
      if (!last.test(story.at(-1) ?? '')) throw new Error(`it is\n${story.join('\n')}`)
      return story
    },
    { within, every: 100 },
  )
}
