import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Engine } from '../../daemon/engine/engine.ts'

type Build = Parameters<Engine['build']>[0]

/** What an engine does with a build, without a container: unpacks the source and packs it again as the compile script would. */
export interface Compiler {
  engine: Engine
  /** How many builds there were. */
  builds: number
  /** The names of the buildpacks of the newest. */
  buildpacks: string
  /** While set, builds say so and wait for it. */
  hold: Promise<void> | undefined
}

export function createCompiler(): Compiler {
  const compiler: Compiler = { builds: 0, buildpacks: '', hold: undefined, engine: {} as Engine }
  const build: Engine['build'] = async (spec, signal) => {
    compiler.builds++
    const held = compiler.hold
    const exit = (async () => {
      if (held)
        await Promise.race([
          held,
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        ])
      signal.throwIfAborted()
      compiler.buildpacks = pack(spec)
      return { exitCode: 0, outOfMemory: false }
    })()
    exit.catch(() => {})
    async function* output() {
      yield Buffer.from('compiling\n')
      await exit.catch(() => {})
      yield Buffer.from('compiled\n')
    }
    return { output: output(), exit } as unknown as Awaited<ReturnType<Engine['build']>>
  }
  compiler.engine = { build } as unknown as Engine
  return compiler
}

function pack({ id, mounts }: Build): string {
  const [tmp = '', out = '', given = ''] = mounts.map(({ host }) => host)
  const tree = join(tmp, `build_${id.split('-')[0]}`)
  const run = (...args: string[]) => execFileSync('bash', ['-euc', ...args])
  run('mkdir -p "$1" && tar -xf "$2" -C "$1"', '-', tree, join(given, 'source.tar'))
  run('test ! -f "$1/Procfile" || cp "$1/Procfile" "$2"', '-', tree, join(out, 'Procfile'))
  run('tar -C "$1" --transform "s,^\\.,./app,S" -cf - . | zstd -q -o "$2"', '-', tree, join(out, 'archive.tar.zst'))
  writeFileSync(join(out, 'used'), '0\n')
  writeFileSync(join(out, 'description'), 'Procfile')
  return execFileSync('cat', [join(given, 'names')]).toString()
}
