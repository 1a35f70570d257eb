/**
 * A history: what people do to one app, and what befalls the machine. It is data and nothing else decides what happens, so that a history
 * from which events are taken away, or whose figures are made smaller, is a history too. `pick` chooses among what is there at that
 * moment, modulo how many there are; an event for which there is nothing does nothing.
 */
export interface History {
  routers: number
  /** Rather does not serve for a while than not be released when there is no room. */
  serial: boolean
  events: Event[]
}

/** `after`: ms since the event before it. */
export type Event = { after: number } & Happening

export type Happening = Command | Fault

export type Command =
  /** A push; with `attended`, the client waits and is told of a failure when the daemon dies. */
  | { what: 'push'; code: Code; attended: boolean }
  /** The client of a push goes away. */
  | { what: 'abandon' }
  | { what: 'config' }
  | { what: 'rollback'; pick: number }
  | { what: 'scale'; type: string; to: number }
  | { what: 'resize'; type: string; large: boolean }
  /** All dynos, or one of those there are. */
  | { what: 'restart'; pick: number | null }
  | { what: 'stop'; pick: number }
  /** Its command ends by itself after `lasts`; `limit` is its time to live. */
  | { what: 'run'; client: boolean; lasts: number; limit: number }
  /** The client of a one-off dyno says what terminal it has; goes away. */
  | { what: 'meet'; pick: number }
  | { what: 'leave'; pick: number }
  | { what: 'maintenance'; on: boolean }
  | { what: 'destroy' }

export type Fault =
  /** Nothing but the time before it. */
  | { what: 'wait' }
  /** A container ends; unseen: the engine does not tell. */
  | { what: 'exit'; pick: number; unseen: boolean }
  /** A container is gone, and nobody tells. */
  | { what: 'lose'; pick: number }
  /** The host goes down: all containers have ended, or are gone. Daemon and routers come again. */
  | { what: 'reboot'; gone: boolean; ms: number }
  /** What becomes of the next start, or stop, that the engine is told. */
  | { what: 'start'; fate: Fate; ms: number }
  | { what: 'end'; fate: Fate; ms: number }
  /** The daemon is killed after so many further steps, and is back later. */
  | { what: 'kill'; steps: number; ms: number }
  /** A router's connection breaks; its messages take long; it is silent with its connection open; it is killed and starts from its snapshot. */
  | { what: 'cut'; router: number; ms: number }
  | { what: 'lag'; router: number; ms: number }
  | { what: 'silence'; router: number; ms: number }
  | { what: 'bounce'; router: number; ms: number }
  /** A web dyno has a request that lasts so long. */
  | { what: 'request'; router: number; pick: number; ms: number }
  /** Others leave this app memory for so many small dynos. */
  | { what: 'room'; places: number }
  /** The clock of the machine is set. */
  | { what: 'jump'; ms: number }

/** `late`: it takes that long. `refused`: nothing is done. `unheard`: it is done, and the answer is lost. */
export type Fate = 'late' | 'refused' | 'unheard'

/** What a release brings. */
export interface Code {
  web: boolean
  worker: boolean
  command: 'none' | 'passes' | 'fails' | 'hangs'
  /** `slow` listens after 20 s; `crashes` before it listens; `deaf` never does; `one crashes`: every second dyno. */
  boot: 'well' | 'slow' | 'crashes' | 'deaf' | 'one crashes'
}

/** An event as a person would tell it. */
export function told(event: Event): string {
  switch (event.what) {
    case 'push':
      return `git push of ${codeText(event.code)}${event.attended ? '' : ', nobody waits for it'}`
    case 'abandon':
      return 'Ctrl-C at the push'
    case 'config':
      return 'config:set'
    case 'rollback':
      return `rollback to release ${event.pick} of those that served`
    case 'scale':
      return `ps:scale ${event.type}=${event.to}`
    case 'resize':
      return `ps:type ${event.type}=${event.large ? 'Standard-2X' : 'Basic'}`
    case 'restart':
      return event.pick === null ? 'ps:restart' : `ps:restart of dyno ${event.pick}`
    case 'stop':
      return `ps:stop of dyno ${event.pick}`
    case 'run':
      return `run ${event.client ? 'with a client' : 'detached'}: a command of ${event.lasts} ms, with ${event.limit} ms to live`
    case 'meet':
      return 'the client of a one-off dyno tells its terminal'
    case 'leave':
      return 'the client of a one-off dyno goes away'
    case 'maintenance':
      return `maintenance:${event.on ? 'on' : 'off'}`
    case 'destroy':
      return 'apps:destroy'
    default:
      return faultTold(event)
  }
}

function faultTold(fault: Fault): string {
  const does = {
    late: `takes ${'ms' in fault ? fault.ms : 0} ms`,
    refused: 'fails',
    unheard: 'is done, and the answer lost',
  }
  switch (fault.what) {
    case 'wait':
      return 'nothing happens'
    case 'exit':
      return `container ${fault.pick} ends${fault.unseen ? ', and the engine does not tell' : ''}`
    case 'lose':
      return `container ${fault.pick} is gone without a word`
    case 'reboot':
      return `the host reboots in ${fault.ms} ms, and its containers ${fault.gone ? 'are gone' : 'have ended'}`
    case 'start':
    case 'end':
      return `the next ${fault.what === 'start' ? 'start' : 'stop'} of a container ${does[fault.fate]}`
    case 'kill':
      return `the daemon is killed after ${fault.steps} steps, and back after ${fault.ms} ms`
    case 'cut':
      return `router ${fault.router} loses its connection for ${fault.ms} ms`
    case 'lag':
      return `messages of router ${fault.router} take ${fault.ms} ms from now on`
    case 'silence':
      return `router ${fault.router} hears and says nothing for ${fault.ms} ms`
    case 'bounce':
      return `router ${fault.router} is killed, and back after ${fault.ms} ms`
    case 'request':
      return `web dyno ${fault.pick} has a request of ${fault.ms} ms by router ${fault.router}`
    case 'room':
      return `there is room for ${fault.places} small dynos`
    case 'jump':
      return `the clock is set ${Math.abs(fault.ms)} ms ${fault.ms < 0 ? 'back' : 'on'}`
    default:
      return fault satisfies never
  }
}

const codeText = ({ web, worker, command, boot }: Code): string =>
  [
    [web && 'web', worker && 'worker'].filter(Boolean).join(' and ') || 'nothing to run',
    boot !== 'well' &&
      `that ${{ slow: 'boots slowly', crashes: 'crashes at boot', deaf: 'never listens', 'one crashes': 'crashes at boot in every second dyno' }[boot]}`,
    command !== 'none' && `a release command that ${command}`,
  ]
    .filter(Boolean)
    .join(', ')

/** A history line by line, each with its time. */
export function story({ routers, serial, events }: History): string {
  let at = 0
  const lines = events.map((event) => {
    at += event.after
    return `${String(at).padStart(8)} ms  ${told(event)}`
  })
  return [`${routers} router${routers === 1 ? '' : 's'}${serial ? ', a serial app' : ''}`, ...lines].join('\n')
}
