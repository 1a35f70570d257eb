import type { Code } from '../engine/engine.ts'
import { dynoSizes, parseSize } from './size.ts'

/**
 * What the platform itself tells a dyno, then `given`; DYNO, and PORT where there is one, cannot be overridden. An image says where it has
 * what by its own ENV.
 */
export function environment(
  dyno: { name: string; port: number | undefined },
  code: Code['kind'],
  given: Record<string, string>,
): string[] {
  const vars = {
    ...(code === 'slug' ? { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/app', LANG: 'en_US.UTF-8' } : {}),
    ...given,
    DYNO: dyno.name,
    ...(dyno.port === undefined ? {} : { PORT: String(dyno.port) }),
  }
  return Object.entries(vars).map(([name, value]) => `${name}=${value}`)
}

/** What a size means to the engine; a size that is no more counts as the smallest. */
export const resourcesOf = (size: string): { memory: number; cpu: number; pids: number } =>
  dynoSizes[parseSize(size) ?? 'Basic']

/** The n-th /26 of a /16 pool such as `10.213.0.0/16`: an app's own network, of 60 dynos. */
export function subnetOf(pool: string, index: number): string {
  const [a, b] = pool.split('.')
  return `${a}.${b}.${Math.floor(index / 4)}.${(index % 4) * 64}/26`
}

/** Ports handed to dynos: any will do, because each dyno has an address of its own; a fresh one finds apps that ignore $PORT. */
const FIRST_PORT = 10_000
const LAST_PORT = 59_999

export const randomPort = (random: () => number = Math.random): number =>
  FIRST_PORT + Math.floor(random() * (LAST_PORT - FIRST_PORT + 1))
