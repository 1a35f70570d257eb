import type { Failpoint } from '../../daemon/failpoint.ts'

/** The test files, and what of each operation is performed in them. */
interface Operations {
  push: 'push' | 'withCommand' | 'again' | 'broken' | 'first' | 'source' | 'slug'
  start: 'interrupted' | 'oldBuilds' | 'oldSlug'
  change: 'config' | 'rollback' | 'scale' | 'shrink' | 'restart' | 'stop' | 'crash' | 'run'
  life: 'create' | 'rename' | 'promote' | 'destroy' | 'addDomain' | 'removeDomain' | 'replaceCertificate' | 'backUp'
  image: 'image' | 'release'
}

type File = keyof Operations
type End = 'done' | 'undone'

export type Case<In extends File = File> = {
  [Name in In]: {
    file: Name
    /** That comes to it. */
    operation: Operations[Name]
    /** What has become of it when the daemon was killed there and is back. */
    killed: End
    /** The same when the step failed, or filled the disk. Null where nothing that could fail follows before the answer. */
    failed: End | null
  }
}[In]

const inFile =
  <Name extends File>(file: Name) =>
  (operation: Operations[Name], killed: End, failed: End | null): Case<Name> =>
    ({ file, operation, killed, failed }) as Case<Name>

const [push, start, change, life, image] = [
  inFile('push'),
  inFile('start'),
  inFile('change'),
  inFile('life'),
  inFile('image'),
]

/** Where each step of the daemon is struck. One that is missing here does not compile; one that no operation comes to fails its test. */
export const cases: Record<Failpoint, Case> = {
  'repository.made': push('first', 'undone', 'undone'),
  'push.received': push('push', 'undone', 'undone'),
  // Nobody can tell the client any more: the release serves, and the next push of it moves the branch.
  'push.served': push('again', 'done', null),
  'build.begun': push('push', 'undone', 'undone'),
  'build.laid': push('push', 'undone', 'undone'),
  'build.created': push('push', 'undone', 'undone'),
  'build.ended': push('push', 'undone', 'undone'),
  'build.compiled': push('push', 'undone', 'undone'),
  'cache.next': push('push', 'undone', 'undone'),
  'cache.copied': push('push', 'done', 'done'),
  'slug.archived': push('push', 'undone', 'undone'),
  'slug.placed': push('push', 'undone', 'undone'),
  'slugs.deleted': push('push', 'done', 'done'),
  'slug.received': push('slug', 'undone', 'undone'),
  'source.placed': push('source', 'undone', 'undone'),
  'release.made': push('again', 'undone', 'undone'),
  'rollout.phase': push('withCommand', 'undone', 'done'),
  'rollout.booting': push('withCommand', 'undone', 'done'),
  'rollout.failed': push('broken', 'done', 'done'),

  'builds.failed': start('interrupted', 'done', null),
  'builds.forgotten': start('oldBuilds', 'done', null),
  'slugs.forgotten': start('oldSlug', 'done', null),

  'config.released': change('config', 'done', null),
  'rollback.released': change('rollback', 'done', null),
  'formation.scaled': change('scale', 'done', null),
  'dynos.marked': change('restart', 'done', null),
  'dynos.stopped': change('stop', 'done', null),
  'oneoff.inserted': change('run', 'done', null),
  'rollout.cutover': change('config', 'done', 'done'),
  'rollout.succeeded': change('rollback', 'done', 'done'),
  'table.sent': change('config', 'done', 'done'),
  'dyno.inserted': change('restart', 'done', 'done'),
  'layer.made': change('config', 'done', 'undone'),
  'volume.made': change('config', 'done', 'undone'),
  'container.created': change('config', 'done', 'undone'),
  'container.started': change('config', 'done', 'undone'),
  'dyno.up': change('restart', 'done', 'done'),
  'dyno.draining': change('restart', 'done', 'done'),
  'dyno.stopping': change('shrink', 'done', 'done'),
  'container.ended': change('stop', 'done', 'done'),
  'container.removed': change('restart', 'done', 'done'),
  'volume.removed': change('shrink', 'done', 'done'),
  'dyno.gone': change('config', 'done', 'done'),
  'dyno.counted': change('config', 'done', 'done'),
  'dyno.crashed': change('crash', 'done', 'done'),
  'dyno.down': change('run', 'done', 'done'),

  'promotion.begun': life('promote', 'done', null),
  'promotion.released': life('promote', 'done', null),
  'promotion.served': life('promote', 'done', 'done'),
  'network.made': life('promote', 'done', 'undone'),
  'backup.captured': life('backUp', 'undone', 'undone'),
  'backup.written': life('backUp', 'undone', 'undone'),
  'app.created': life('create', 'done', null),
  'app.renamed': life('rename', 'done', null),
  'domain.added': life('addDomain', 'done', null),
  'domain.removed': life('removeDomain', 'done', null),
  'certificate.replaced': life('replaceCertificate', 'done', null),
  'app.destroyed': life('destroy', 'done', null),
  'erase.engine': life('destroy', 'done', 'done'),
  'erase.repository': life('destroy', 'done', 'done'),
  'erase.transcripts': life('destroy', 'done', 'done'),
  'erase.cache': life('destroy', 'done', 'done'),
  'erase.logs': life('destroy', 'done', 'done'),
  // What is left is removed by the next start.
  'erase.rows': life('destroy', 'done', null),

  'network.of-build': image('image', 'undone', 'undone'),
  'image.layer': image('image', 'undone', 'undone'),
  'image.uncached': image('image', 'undone', 'undone'),
  'image.held': image('image', 'undone', 'undone'),
  'image.pulled': image('release', 'undone', 'undone'),
}
