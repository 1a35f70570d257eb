import type { Issuance } from '../../daemon/route/issuance.ts'

/** For tests of what only says that there may be something to certify. */
export const noAcm: Issuance = {
  start: async () => {},
  wake() {},
  challenges: () => [],
  stop: async () => {},
}
