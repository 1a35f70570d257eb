/** How a container reads its own bounds, in a shell, by a cgroup of either version. */
const first = (...paths: string[]): string =>
  `cat ${paths.map((path) => `/sys/fs/cgroup/${path}`).join(' ')} 2>/dev/null`

/** Prints a number, or `max`. */
export const PIDS = first('pids.max', 'pids/pids.max')
export const MEMORY = first('memory.max', 'memory/memory.limit_in_bytes')
/** In version 1 memory and swap together, in version 2 swap alone. */
export const SWAP = first('memory.swap.max', 'memory/memory.memsw.limit_in_bytes')
