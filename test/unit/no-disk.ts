import type { Disk } from '../../daemon/disk/disk.ts'

/** For tests of what only asks for room: there always is. */
export const noDisk: Disk = {
  released() {},
  makeRoom: async () => {},
  collect: async () => {},
  survey: async () => [],
  measured: undefined,
  clear: async () => [],
  watch: async () => {},
  close: async () => {},
}
