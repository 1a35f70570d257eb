import { ask } from '../api.ts'
import { say, warn } from '../output.ts'
import { Failure } from '../settings.ts'
import { at } from './command.ts'
import { openStream } from './stream.ts'

export interface Release {
  id: string
  version: number
  status: 'pending' | 'succeeded' | 'failed' | 'expired'
  current: boolean
  description: string
  created_at: string
  user: { email: string } | null
  slug: { id: string } | null
  addon_plan_names: string[]
  eligible_for_rollback: boolean
  output_stream_url: string | null
}

/** The newest releases first. */
export const releasesOf = (app: string, count: number): Promise<Release[]> =>
  ask('GET', at('apps', app, 'releases'), { headers: { range: `version ..; max=${count}, order=desc` } })

export async function latestRelease(app: string): Promise<Release> {
  const [release] = await releasesOf(app, 1)
  if (!release) throw new Failure(`${app} has no releases.`)
  return release
}

/** `v7`, `7` or an id. */
export const releaseNamed = (app: string, name: string): Promise<Release> =>
  ask('GET', at('apps', app, 'releases', name.toLowerCase().replace(/^v/, '')))

/** The output of a release's command until it ends. False when it has not begun, of which `notYet` is told. */
export async function printOutput(url: string, notYet?: string): Promise<boolean> {
  const output = await openStream(url)
  if (output.statusCode === 404) {
    output.resume()
    if (notYet !== undefined) warn(notYet)
    return false
  }
  if (output.statusCode !== 200) throw new Failure(`The output cannot be had: the answer is ${output.statusCode}.`)
  for await (const chunk of output as AsyncIterable<Buffer>) process.stdout.write(chunk.filter((byte) => byte !== 0))
  return true
}

/** Follows the release command of a fresh release, if there is one. */
export async function followCommand({ output_stream_url: url }: Release, app: string): Promise<void> {
  if (!url) return
  say('Running release command...')
  await printOutput(url, `Release command starting. Use \`sluice releases:output --app ${app}\` to view the log.`)
}
