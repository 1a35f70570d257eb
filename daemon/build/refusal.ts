import { EngineError } from '../engine/engine.ts'
import { isDiskFull, messageOf, UserError, withoutPaths } from '../errors.ts'

/** Why a deploy was given up, for those who read its build later. */
export const interruption = ({ reason }: AbortSignal): string =>
  reason instanceof UserError ? reason.message : 'The push was interrupted.'

/** What the user is told of a fault that is not theirs; the cause is for the log. */
export function asUserError(error: unknown): UserError {
  if (error instanceof UserError) return error
  return new UserError('internal_server_error', wordsOf(error), { cause: messageOf(error) })
}

function wordsOf(error: unknown): string {
  if (isDiskFull(error)) return 'The disk of this host is full. Free some space and push again.'
  if (error instanceof EngineError) return withoutPaths(error.message)
  return 'Something went wrong on the platform. Its log has the cause.'
}
