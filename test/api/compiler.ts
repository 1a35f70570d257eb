import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine } from '../../daemon/engine/engine.ts'
import { createImageStore, createMemoryImages } from '../engine/memory-images.ts'

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
    signal.throwIfAborted()
    compiler.builds++
    const held = compiler.hold
    const exit = (async () => {
      const aborted = new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      await Promise.race([held, aborted])
      await Promise.race([atGate(spec), aborted])
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
  const images = createMemoryImages(createImageStore())
  compiler.engine = { build, images } as unknown as Engine
  return compiler
}

/** Resolves when the daemon has laid out what the build works on. */
async function atGate(spec: Build): Promise<void> {
  const gate = await open(join(hostOf(spec, '/sluice/in'), 'gate'))
  await gate.read(Buffer.alloc(10))
  await gate.close()
}

const hostOf = ({ mounts }: Build, path: string): string => mounts.find((mount) => mount.path === path)?.host ?? ''

function pack(spec: Build): string {
  const [out, given] = [hostOf(spec, '/sluice/out'), hostOf(spec, '/sluice/in')]
  const tree = join(hostOf(spec, '/tmp'), `build_${spec.id.split('-')[0]}`)
  const run = (...args: string[]) => execFileSync('bash', ['-euc', ...args])
  run('mkdir -p "$1" && tar -xf "$2" -C "$1"', '-', tree, join(given, 'source.tar'))
  run('test ! -f "$1/Procfile" || cp "$1/Procfile" "$2"', '-', tree, join(out, 'Procfile'))
  run('tar -C "$1" --transform "s,^\\.,./app,S" -cf - . | zstd -q -o "$2"', '-', tree, join(out, 'archive.tar.zst'))
  writeFileSync(join(out, 'used'), '0\n')
  writeFileSync(join(out, 'description'), 'Procfile')
  return execFileSync('cat', [join(given, 'names')]).toString()
}
