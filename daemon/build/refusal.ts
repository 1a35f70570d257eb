import { messageOf, UserError } from '../errors.ts'

/** Why a deploy was given up, for those who read its build later. */
export const interruption = ({ reason }: AbortSignal): string =>
  reason instanceof UserError ? reason.message : 'The push was interrupted.'

const FULL = new Set<unknown>(['ENOSPC', 'EDQUOT', 'SQLITE_FULL'])

/** What the user is told of a fault that is not theirs; the cause is for the log. */
export function asUserError(error: unknown): UserError {
  if (error instanceof UserError) return error
  const full = FULL.has((error as { code?: unknown } | null)?.code)
  const message = full
    ? 'The disk of this host is full. Free some space and push again.'
    : 'Something went wrong on the platform. Its log has the cause.'
  return new UserError('internal_server_error', message, { cause: messageOf(error) })
}
