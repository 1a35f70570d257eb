import { drainTime } from '../../daemon/route/grace.ts'
import type { Container, Release, Row, Witness } from './witness.ts'

/**
 * What is promised, each written once and asked of the planner's model as of the real reconcile. What a rule finds is a sentence for a
 * person, or nothing.
 */
export type Finding = string | undefined | false

interface Rule<Of extends unknown[]> {
  name: string
  says: string
  check(witness: Witness, ...of: Of): Finding
}

const named = ({ type, ordinal, id }: { type: string; ordinal: number; id: string }) => `${type}.${ordinal} (${id})`
const routed = ({ type, oneOff }: Row) => type === 'web' && !oneOff
const live = ({ state }: { state: string }) => state === 'starting' || state === 'up'
const settled = (state: string | undefined) => state === 'succeeded' || state === 'failed'

/** Asked when a row has changed. */
export const ofDyno: Rule<[before: Row | undefined, after: Row | undefined]>[] = [
  {
    name: 'successor first',
    says: 'A web dyno that serves begins to drain only when another is up in its slot, the slot is gone, somebody has asked, or there is no room and half of them stay.',
    check(witness, before, after) {
      const { serving, rows, asked, destroyed, tight, serial } = witness
      if (before?.state !== 'up' || after?.state !== 'draining' || asked.has(after.id) || destroyed || !serving) return
      if (after.release !== serving.id || after.ordinal > witness.slots(serving)) return
      const stay = [...rows.values()].filter((one) => routed(one) && one.release === serving.id && one.state === 'up')
      if (tight && (serial || stay.length >= Math.ceil(witness.slots(serving) / 2))) return
      const successor = [...rows.values()].some(
        (one) =>
          one.id !== after.id &&
          routed(one) &&
          one.release === serving.id &&
          one.ordinal === after.ordinal &&
          one.state === 'up',
      )
      return !successor && `${named(after)} drains, and nobody else is up in its slot`
    },
  },
  {
    name: 'the last one stays',
    says: 'The last web dyno that is up is not drained while web dynos are wanted, unless somebody has asked.',
    check(witness, before, after) {
      const { rows, asked, destroyed, public: release } = witness
      if (before?.state !== 'up' || after?.state !== 'draining' || asked.has(after.id) || destroyed || !release) return
      if (after.release !== release.id || witness.slots(release) === 0 || (witness.tight && witness.serial)) return
      const other = [...rows.values()].some((one) => routed(one) && one.release === release.id && one.state === 'up')
      return !other && `${named(after)} drains, and no other of v${release.version} is up`
    },
  },
  {
    name: 'drained first',
    says: 'A web dyno that was up is told to end only after it has drained.',
    check({ asked }, before, after) {
      const skipped = before?.state === 'up' && (after === undefined || after.state === 'stopping')
      return skipped && routed(before) && !asked.has(before.id) && `${named(before)} is stopped without having drained`
    },
  },
  {
    name: 'one-off alone',
    says: 'A one-off dyno is not drained, and ends early only when its time is over, its client goes, or somebody has asked.',
    check({ asked, destroyed, sight }, before, after) {
      if (!before?.oneOff || !live(before) || after === undefined || live(after)) return
      if (after.state === 'draining') return `${named(after)} is a one-off and drains`
      const may =
        (after.oneOff?.clientGone ?? false) || asked.has(after.id) || destroyed || sight.now() >= before.oneOff.endsAt
      return after.state === 'stopping' && !may && `${named(after)} is stopped before its time`
    },
  },
  {
    name: 'room first',
    says: 'A web dyno beyond the slots of its app starts only when there is room for it; what crashed comes back whatever the room.',
    check: ({ sight }, before, after) =>
      !before &&
      after &&
      routed(after) &&
      after.crashes === 0 &&
      sight.crowded() &&
      `there is no room for ${named(after)}`,
  },
  {
    name: 'back-off',
    says: 'A dyno that crashed is started again only when its time has come, or when somebody wants another one.',
    check({ rows, sight, serving }, before, after) {
      if (before || !after || after.oneOff || after.release !== serving?.id) return
      const waits = [...rows.values()].find(
        (one) =>
          one.state === 'crashed' &&
          !one.replace &&
          !one.oneOff &&
          one.release === after.release &&
          one.type === after.type &&
          one.ordinal === after.ordinal &&
          one.size === after.size &&
          (one.retryAt ?? 0) > sight.now(),
      )
      return waits && `${named(after)} takes the place of ${named(waits)}, which still waits`
    },
  },
]

const order: Record<string, string[]> = {
  new: ['waiting', 'succeeded'],
  waiting: ['phase', 'booting', 'failed'],
  phase: ['booting', 'failed'],
  booting: ['cutover', 'failed'],
  cutover: ['succeeded', 'failed'],
}

/** Asked when a release has another state. */
export const ofRelease: Rule<[before: string | undefined, after: Release]>[] = [
  {
    name: 'way of a release',
    says: 'A release goes its way one state after the other, and what has become of it stays.',
    check: (_, before, { state, version }) =>
      !order[before ?? 'new']?.includes(state) && `v${version} goes from ${before} to ${state}`,
  },
  {
    name: 'one at a time',
    says: 'No release sets out while the command or the cutover of another is under way, and what is older than one that serves is settled.',
    check({ releases }, _, { id, state, version }) {
      if (!['phase', 'booting', 'cutover'].includes(state)) return
      const other = [...releases.values()].find(
        (one) =>
          one.id !== id &&
          (one.state === 'phase' || one.state === 'cutover' || (one.state === 'succeeded' && one.version > version)),
      )
      return other && `v${version} is ${state} while v${other.version} is ${other.state}`
    },
  },
  {
    name: 'whole before requests',
    says: 'A release gets requests only after all of its web dynos that had room, one at least, were up at the same time.',
    check(witness, _, release) {
      if (release.state !== 'cutover') return
      const up = [...witness.rows.values()].filter(
        (one) => routed(one) && one.release === release.id && one.state === 'up',
      )
      const slots = new Set(up.map(({ ordinal }) => ordinal)).size
      if (witness.tight && slots > 0) return
      return (
        slots < witness.slots(release) && `v${release.version} cuts over with ${slots} of ${witness.slots(release)}`
      )
    },
  },
  {
    name: 'every router first',
    says: 'A release has succeeded only when every router that is not lost, of which one is connected, follows the table in which it serves.',
    check(witness, before, release) {
      const { sight, lost } = witness
      if (release.state !== 'succeeded' || before !== 'cutover' || witness.slots(release) === 0) return
      if (sight.routers.every(({ awaySince }) => awaySince !== null))
        return `v${release.version} succeeded while no router is there`
      const late = sight.routers.find(
        (router) =>
          !lost.has(router) &&
          !router.route?.backends.some(
            ({ id, mode }) => mode === 'serve' && witness.rows.get(id)?.release === release.id,
          ),
      )
      return late && `v${release.version} succeeded while router ${late.name} does not follow it`
    },
  },
  {
    name: 'fallen code',
    says: 'Code whose release has failed goes live by no other release that was based on it.',
    check({ releases }, _, { id, state, version, code }) {
      if (!['phase', 'booting', 'cutover', 'succeeded'].includes(state)) return
      const fallen = [...releases.values()].find(
        (one) => one.id !== id && one.version === code && one.state === 'failed' && !one.superseded,
      )
      return fallen && `v${version} is ${state} with the code of v${fallen.version}, which has failed`
    },
  },
  {
    name: 'sound releases succeed',
    says: 'A release that boots, and that nothing has befallen, does not fail unless there is no room, or a later one came to serve first.',
    check: ({ tight, serving }, _, { state, sound, version }) =>
      state === 'failed' && sound && !tight && (serving?.version ?? 0) < version && `v${version} failed for no reason`,
  },
]

/** Asked when the engine has made a container, and when it is told to end one. */
export const ofContainer: Rule<[container: Container, what: 'made' | 'ending']>[] = [
  {
    name: 'one in a slot',
    says: 'A slot never has two running dynos of a type that is not web.',
    check({ sight }, { type, ordinal, oneOff, id }, what) {
      if (what !== 'made' || type === 'web' || oneOff) return
      for (const one of sight.containers())
        if (one.running && !one.oneOff && one.id !== id && one.type === type && one.ordinal === ordinal)
          return `${named({ type, ordinal, id })} runs beside ${named(one)}`
      return undefined
    },
  },
  {
    name: 'one-off once',
    says: 'A one-off dyno is started once and never again, unless its container was lost before anybody had heard of it.',
    check: ({ starts, unheard }, container, what) =>
      what === 'made' &&
      !unheard.has(container.id) &&
      container.oneOff &&
      (starts.get(container.id) ?? 0) > 1 &&
      `${named(container)} is started again`,
  },
  {
    name: 'release command once',
    says: 'A release command runs once for a release, unless its container was lost before anybody had heard of it.',
    check: ({ commands, releases, unheard }, { id, type, release, oneOff }, what) =>
      what === 'made' &&
      !unheard.has(id) &&
      type === 'release' &&
      !oneOff &&
      (commands.get(release) ?? 0) > 1 &&
      `the release command of v${releases.get(release)?.version} runs again`,
  },
  {
    name: 'nobody is sent to an end',
    says: 'A dyno is told to end only when no router that counts sends it requests or has one there, unless its time is over.',
    check({ sight, left, drainingSince, asked, destroyed }, { id, type, oneOff, listens }, what) {
      if (what !== 'ending' || type !== 'web' || oneOff || !listens || destroyed || asked.has(id)) return
      const since = drainingSince.get(id)
      if (since !== undefined && sight.now() - since >= drainTime(undefined)) return
      for (const router of sight.routers) {
        if (left.has(router)) continue
        if (router.serves(id)) return `${id} is told to end while router ${router.name} sends it requests`
        if (router.isBusy(id) && since !== undefined)
          return `${id} is told to end while it has a request by router ${router.name}`
      }
      return undefined
    },
  },
]

/** Asked after everything that happens. */
export const always: Rule<[]>[] = [
  {
    name: 'one release serves',
    says: 'Exactly one release gets requests by a router, and never one that has failed.',
    check({ sight, rows, releases, left }) {
      for (const router of sight.routers) {
        let served: string | undefined
        for (const { id, mode } of router.route?.backends ?? []) {
          const release = mode === 'serve' ? rows.get(id)?.release : undefined
          if (release === undefined) continue
          if (served !== undefined && served !== release) return `router ${router.name} sends requests to two releases`
          served = release
        }
        const follows = router.running && !left.has(router) && sight.behind(router) === 0 && router.awaySince === null
        const release = releases.get(served ?? '')
        // Routers are told in the moment in which it fails.
        if (follows && release?.state === 'failed' && release.since < sight.time())
          return `router ${router.name} sends requests to v${release.version}, which has failed`
      }
      return undefined
    },
  },
  {
    name: 'service goes on',
    says: 'A router that has a dyno to send requests to goes on having one, unless a fault or a person takes it.',
    check(witness) {
      const { sight, left, served, excused, destroyed, public: release } = witness
      if (excused || destroyed || !release || witness.slots(release) === 0 || (witness.tight && witness.serial)) return
      for (const router of sight.routers) {
        // an older release may have had no web
        const old = sight.behind(router) > 0 && !router.route?.backends.some(({ mode }) => mode === 'serve')
        if (router.running && served.has(router) && !left.has(router) && !old && !witness.reaches(router))
          return `router ${router.name} has nobody left to send requests to`
      }
      return undefined
    },
  },
]

/** Asked when all faults have ended and nothing is under way any more. */
export const atRest: Rule<[]>[] = [
  {
    name: 'all is settled',
    says: 'Every release is settled in the end, and so is what became of it: the newest that has not failed serves.',
    check({ releases, destroyed }) {
      if (destroyed) return
      const open = [...releases.values()].find(({ state }) => !settled(state))
      return open && `v${open.version} is ${open.state} for ever`
    },
  },
  {
    name: 'what is wanted is there',
    says: 'In the end there is one dyno in each slot of the release that serves, up, and nothing else has a row or a container.',
    check(witness) {
      const { serving, formation, rows, sight, destroyed } = witness
      const wanted = destroyed
        ? []
        : Object.entries(formation).flatMap(([type, { size }]) =>
            Array.from({ length: serving ? witness.slots(serving, type) : 0 }, (_, n) => `${type}.${n + 1} ${size} up`),
          )
      const there = [...rows.values()].map(
        ({ type, ordinal, size, state, release }) =>
          `${type}.${ordinal} ${size} ${state}${release === serving?.id ? '' : ' of another release'}`,
      )
      if (there.sort().join() !== wanted.sort().join())
        return `there is [${there.join(', ')}], and wanted is [${wanted.join(', ')}]`
      const running = new Set([...sight.containers()].map(({ id }) => id))
      for (const { id, running: runs } of sight.containers())
        if (!rows.has(id) || !runs) return `container ${id} is left${rows.has(id) ? ', not running' : ' without a row'}`
      for (const id of rows.keys()) if (!running.has(id)) return `dyno ${id} has no container`
      return undefined
    },
  },
  {
    name: 'routers follow',
    says: 'In the end every router sends requests to all web dynos, and to nothing else.',
    check({ rows, sight }) {
      const wanted = [...rows.values()].filter(routed).map(({ id }) => id)
      for (const router of sight.routers) {
        const there = (router.route?.backends ?? []).map(({ id, mode }) => (mode === 'serve' ? id : `${id} (${mode})`))
        if (there.sort().join() !== wanted.sort().join()) return `router ${router.name} follows [${there.join(', ')}]`
      }
      return undefined
    },
  },
]
