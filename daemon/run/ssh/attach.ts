import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../../clock.ts'
import { limits } from '../../limits.ts'
import type { Meeting, Rendezvous } from '../rendezvous.ts'
import { type Host, serve } from './connection.ts'
import type { HostKey } from './host-key.ts'
import { serveSession } from './session.ts'

/** Answers `GET /attach/SECRET` with `Upgrade: tcp`. */
export type Attach = (req: IncomingMessage, socket: Socket, head: Buffer) => void

/**
 * The form in which the CLI attaches to dynos of private spaces: a secret in a URL is exchanged for a connection that speaks SSH, in
 * which the one session is the dyno's process. The secret has authenticated the client, so SSH asks for nothing.
 */
export function createAttach(parts: { rendezvous: Rendezvous; clock: Clock; hostKey: HostKey }): Attach {
  return (req, socket, head) => {
    const meeting = parts.rendezvous.claim(req.url?.slice('/attach/'.length) ?? '')
    if (!meeting) return void socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    socket.setNoDelay(true)
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
    if (head.length > 0) socket.unshift(head)
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
