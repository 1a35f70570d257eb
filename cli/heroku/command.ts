import { appOption, remoteOption } from '../app.ts'
import { USAGE } from '../command.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'

/** A command that is about one app: --app, --remote. Its action asks `appOf` which. */
export const appCommand = (program: Program, name: string, description: string) =>
  program.command(name).description(description).addOption(appOption).addOption(remoteOption)

/** A path of the API; each part is quoted, so that a name cannot lead elsewhere. */
export const at = (...parts: (string | number)[]): string =>
  parts.map((part) => `/${encodeURIComponent(part)}`).join('')

/** Refuses flags that say two things at once. */
export function exclusive(flags: Record<string, string | undefined>): void {
  const [one, other] = Object.entries(flags).filter(([, value]) => value !== undefined)
  if (one && other)
    throw new Failure(
      `The following error occurred:\n  --${one[0]}=${one[1]} cannot also be provided when using --${other[0]}\nSee more help with --help`,
      USAGE,
    )
}
