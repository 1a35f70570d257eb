import type { Daemon } from '../daemon.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { createAllowance } from '../logs/allowance.ts'
import { createLosses } from '../logs/losses.ts'
import { createSplitter, textOf } from '../logs/split.ts'
import { createPlain } from './plain.ts'

/**
 * The build output, in Heroku's look (https://devcenter.heroku.com/articles/buildpack-api#output-style). It goes to the one who
 * waits, to the stored transcript and, line by line, to the app's log as `app[build]`. What a buildpack writes passes but
 * for what plain.ts takes out; a line of ours always begins a line.
 */
export interface Output {
  write(chunk: string | Buffer): void
  /** What the app's log has already, under the name of the dyno that said it. */
  relay(chunk: Buffer): void
  /** Ends a line that is still open. */
  fresh(): void
  /** `-----> Launching...`, and details below it. */
  step(text: string): void
  detail(text: string): void
  blank(): void
  /** ` !     ` before each line; ` ~     ` for what is only odd. */
  problem(text: string): void
  oddity(text: string): void
  end(): Promise<void>
}

export async function openOutput(
  d: Pick<Daemon, 'transcripts' | 'logs' | 'clock'>,
  build: { id: string; app_id: string },
  sink: (chunk: string | Buffer) => void,
): Promise<Output> {
  await failpoint('build.begun')
  const transcript = await d.transcripts.open(`build-${build.id}`)
  const splitter = createSplitter()
  const allowance = createAllowance(limits.buildLogRate)
  const losses = createLosses('build', (line) => d.logs.write(build.app_id, line))
  const log = (lines: Buffer[]): void => {
    const at = d.clock.now()
    for (const line of lines)
      if (allowance.take(at, line.length))
        d.logs.write(build.app_id, { at, source: 'app', dyno: 'build', text: textOf(line) })
      else losses.dropped(at)
  }
  return createOutput({
    show(chunk) {
      transcript.write(chunk)
      sink(chunk)
    },
    log: (chunk) => log(splitter.push(chunk)),
    end() {
      log(splitter.end())
      losses.tell()
      return transcript.end()
    },
  })
}

interface Sinks {
  show(chunk: Buffer): void
  log(chunk: Buffer): void
  end(): Promise<void>
}

export function createOutput({ show, log, end }: Sinks): Output {
  const plain = createPlain()
  let lineOpen = false
  const pass = (chunk: Buffer): void => {
    lineOpen = chunk.at(-1) !== 0x0a
    show(chunk)
  }
  const passAll = (chunk: Buffer): void => {
    if (chunk.length === 0) return
    pass(chunk)
    log(chunk)
  }
  const write = (chunk: string | Buffer): void => passAll(plain.push(chunk))
  const lines = (prefix: string, text: string): void =>
    write(`${lineOpen ? '\n' : ''}${text.replace(/\n$/, '').replace(/^/gm, prefix)}\n`)
  return {
    write,
    relay(chunk) {
      const text = plain.push(chunk)
      if (text.length > 0) pass(text)
    },
    step: (text) => lines('-----> ', text),
    detail: (text) => lines('       ', text),
    blank: () => lines('', ''),
    fresh: () => lineOpen && write('\n'),
    problem: (text) => lines(' !     ', text),
    oddity: (text) => lines(' ~     ', text),
    end() {
      passAll(plain.end())
      return end()
    },
  }
}

/** `56.2M`, as Heroku shows slug sizes. */
export function formatSize(bytes: number): string {
  const K = 1024
  if (bytes < K) return `${bytes}B`
  if (bytes < K ** 2) return `${(bytes / K).toFixed(1)}K`
  return bytes < K ** 3 ? `${(bytes / K ** 2).toFixed(1)}M` : `${(bytes / K ** 3).toFixed(1)}G`
}
