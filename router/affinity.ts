import type { Backend } from './backend.ts'
import type { Fields } from './fields.ts'

/**
 * Session affinity (https://devcenter.heroku.com/articles/session-affinity): a cookie names the backend that a client was served by, and
 * is given anew when that one is gone. It opens nothing: whoever makes one up gets a backend that any request may get.
 */
const NAME = 'heroku-session-affinity'

/** Of those that may get the request the one that its cookies name. */
export function boundTo(fields: Fields, eligible: readonly Backend[]): Backend | undefined {
  const token = tokenIn(fields)
  return token === undefined ? undefined : eligible.find((one) => one.token === token)
}

/** The field that binds a client to the backend; none when its cookie says so already. */
export function binding(fields: Fields, backend: Backend, secure: boolean): Fields {
  if (tokenIn(fields) === backend.token) return []
  return ['set-cookie', 'Set-Cookie', `${NAME}=${backend.token}; Path=/; HttpOnly${secure ? '; Secure' : ''}`]
}

function tokenIn(fields: Fields): string | undefined {
  for (let i = 0; i < fields.length; i += 3)
    if (fields[i] === 'cookie') {
      const [, token] = COOKIE.exec(fields[i + 2] ?? '') ?? []
      if (token !== undefined) return token
    }
  return undefined
}

const COOKIE = new RegExp(`(?:^|;)[ \\t]*${NAME}=([A-Za-z0-9_-]{22})[ \\t]*(?:;|$)`)
