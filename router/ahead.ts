import { challengeAnswer } from './challenge.ts'
import type { RequestHead } from './head.ts'
import type { Page } from './page.ts'
import { redirectAnswer } from './redirect.ts'
import type { App, Router } from './router.ts'

/** What is answered ahead of the app, also in maintenance: an authority's challenge, then the way to `https:`. Pure. */
export function pageAhead(
  { challenges, tlsPort }: Pick<Router, 'challenges' | 'tlsPort'>,
  app: Pick<App, 'route'> | undefined,
  { head, secure }: { head: RequestHead; secure: boolean },
): Page | undefined {
  const challenge = challengeAnswer(challenges, head)
  if (challenge !== undefined || app?.route.redirect !== true || secure) return challenge
  return redirectAnswer(head, tlsPort)
}
