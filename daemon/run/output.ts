import type { Placed } from '../engine/engine.ts'
import type { Collector } from '../logs/collect.ts'
import type { Transcript, Transcripts } from '../logs/transcript.ts'

/**
 * Reads the output of dynos from their first byte (the engine's start time comes after it): all of it goes to the app's log, and that of a release command also to the transcript
 * `release-<release id>`, which `releases:output` and the push follow. After a restart of the daemon the transcript begins anew.
 */
export interface Output {
  seen(placed: Placed): void
  /** Resolves when all of its output is in the log, or was waited for long enough. */
  exited(placed: Placed): Promise<void>
}

export function createOutput({ transcripts, collector }: { transcripts: Transcripts; collector: Collector }): Output {
  const phases = new Map<string, Promise<Transcript>>()

  const begin = (placed: Placed): void => {
    // A client has it, and nothing of it is kept.
    if (placed.attached) return
    const dyno = { id: placed.id, app: placed.app, name: placed.name, since: 0 }
    if (placed.type !== 'release') return collector.follow(dyno)
    if (phases.has(placed.id)) return
    const opened = transcripts.open(`release-${placed.release}`)
    phases.set(placed.id, opened)
    opened.then((transcript) => collector.follow(dyno, transcript)).catch(() => collector.follow(dyno))
  }

  const finish = async (id: string): Promise<void> => {
    const transcript = await phases.get(id)
    phases.delete(id)
    await collector.settled(id)
    await transcript?.end()
  }

  return {
    seen(placed) {
      begin(placed)
      if (!placed.running) void finish(placed.id).catch(() => {})
    },
    exited: (placed) => finish(placed.id).catch(() => {}),
  }
}
