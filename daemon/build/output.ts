import type { Daemon } from '../daemon.ts'

/**
 * The build output, in Heroku's look (https://devcenter.heroku.com/articles/buildpack-api#output-style). It goes to the one who
 * waits and to the stored transcript alike. What a buildpack writes passes unchanged; a line of ours always begins a line.
 */
export interface Output {
  write(chunk: string | Buffer): void
  /** `-----> Launching...`, and details below it. */
  step(text: string): void
  detail(text: string): void
  blank(): void
  /** ` !     ` before each line. */
  problem(text: string): void
  end(): Promise<void>
}

export async function openOutput(
  d: Pick<Daemon, 'transcripts'>,
  build: string,
  sink: (chunk: string | Buffer) => void,
): Promise<Output> {
  const transcript = await d.transcripts.open(`build-${build}`)
  return createOutput((chunk) => {
    transcript.write(chunk)
    sink(chunk)
  }, transcript.end)
}

export function createOutput(sink: (chunk: string | Buffer) => void, end: () => Promise<void>): Output {
  let lineOpen = false
  const write = (chunk: string | Buffer): void => {
    if (chunk.length === 0) return
    lineOpen = typeof chunk === 'string' ? !chunk.endsWith('\n') : chunk.at(-1) !== 0x0a
    sink(chunk)
  }
  const lines = (prefix: string, text: string): void =>
    write(`${lineOpen ? '\n' : ''}${text.replace(/\n$/, '').replace(/^/gm, prefix)}\n`)
  return {
    write,
    step: (text) => lines('-----> ', text),
    detail: (text) => lines('       ', text),
    blank: () => lines('', ''),
    problem: (text) => lines(' !     ', text),
    end,
  }
}

/** `56.2M`, as Heroku shows slug sizes. */
export function formatSize(bytes: number): string {
  const K = 1024
  if (bytes < K) return `${bytes}B`
  if (bytes < K ** 2) return `${(bytes / K).toFixed(1)}K`
  return bytes < K ** 3 ? `${(bytes / K ** 2).toFixed(1)}M` : `${(bytes / K ** 3).toFixed(1)}G`
}
