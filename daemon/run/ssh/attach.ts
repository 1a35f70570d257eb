import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../../clock.ts'
import { limits } from '../../limits.ts'
import type { Meeting, Rendezvous } from '../rendezvous.ts'
import { type Host, serve } from './connection.ts'
import type { HostKey } from './host-key.ts'
import { serveSession } from './session.ts'
import { refuse, switchTo } from './upgrade.ts'

/** Answers `GET /attach/SECRET` with `Upgrade: tcp`. */
export type Attach = (req: IncomingMessage, socket: Socket, head: Buffer) => void

/**
 * The form in which the CLI attaches to dynos of private spaces: a secret in a URL is exchanged for a connection that speaks SSH, in
 * which the one session is the dyno's process. The secret has authenticated the client, so SSH asks for nothing.
 */
export function createAttach(parts: { rendezvous: Rendezvous; clock: Clock; hostKey: HostKey }): Attach {
  return (req, socket, head) => {
    const meeting = parts.rendezvous.claim(req.url?.slice('/attach/'.length) ?? '')
    if (!meeting) return refuse(socket)
    switchTo(socket, head)
    serve(socket, hostOf(meeting), parts)
  }
}

function hostOf(meeting: Meeting): Host {
  let begun = false
  return {
    method: 'none',
    authenticate: async () => true,
    channels: 1,
    idle: limits.rendezvous,
    session(session, visit) {
      if (begun) return
      serveSession(session, {
        terminal: meeting.terminal,
        // the CLI shows nothing of what ssh writes to stderr
        merged: true,
        line: visit.line,
        // whatever is asked for: the command was given when the dyno was
        open: ({ terminal }) => meeting.open(terminal),
        began(ended) {
          begun = true
          visit.during(ended)
          void ended.then(visit.over)
        },
      })
    },
    closed() {
      if (!begun) meeting.missed()
    },
  }
}
