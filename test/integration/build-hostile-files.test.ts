import { existsSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SOURCE, startHostileRig } from './hostile-rig.ts'

/** Builds that leave what would harm whoever reads it. */
const hostile = await startHostileRig()
const { rig } = hostile
test.after.each(() => hostile.settle())
test.after(() => hostile.close())

test('links, devices, pipes, odd names and depths make a slug that harms nobody, and a cache that the next build gets', async () => {
  const script = `
ln -s /etc/shadow "$1/shadow"; ln -s / "$1/root"; ln -s ../../../../../../etc/passwd "$1/up"
ln /sluice/in/source.tar "$1/linked" 2>/dev/null && echo "linked out of the mount"
mkfifo "$1/fifo"; cp /bin/true "$1/setuid"; chmod 6755 "$1/setuid"; mknod "$1/disk" b 8 0 2>/dev/null && echo "made a device"
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "$ARGV[0]/socket", Listen => 1)' "$1"
touch "$1/$(printf %0255d 0)" "$1/"$'new\\nline' "$1/-rf" "$1/"$'\\xff'
rm -f "$1/.profile.d"; ln -s /etc "$1/.profile.d"
[[ -L $2/etc ]] && echo "the cache came back"
ln -sfn /etc "$2/etc"`
  const app = await rig.app([await hostile.pack(script)])
  const first = await rig.push(app, SOURCE)
  if (!first.release) throw new Error(first.output)
  assert.not.match(first.output, /linked out|made a device|root:/)
  const tree = rig.tree(first.release)
  assert.ok((await lstat(join(tree, 'shadow'))).isSymbolicLink())
  assert.is((await lstat(join(tree, 'setuid'))).uid, 1000)
  assert.not(existsSync(join(tree, 'disk')))
  const second = await rig.push(app, { ...SOURCE, other: '' })
  assert.match(second.output, 'the cache came back')
  assert.ok(second.release)
})

test('a cache with paths that are longer than any can be is given up, and said so', async () => {
  const deep = 'cd "$2"; name=$(printf %0250d 0); for n in {1..20}; do mkdir $name; cd -P $name; done; touch file'
  const app = await rig.app([await hostile.pack(`[[ -e $1/next ]] || { ${deep}; }`)])
  assert.ok((await rig.push(app, SOURCE)).release)
  const next = { ...SOURCE, next: '' }
  const { release, output } = await rig.push(app, next)
  assert.match(output, 'The build cache cannot be copied, so this build begins without one.')
  assert.ok(release, output)
  assert.not.match((await rig.push(app, { ...next, more: '' })).output, 'cannot be copied')
})

test('what the daemon reads of a build is read through no link, and waits for nobody', async () => {
  const place = `cd /sluice/out; for name in description used memory; do rm -f $name; ln -s /etc/passwd $name; done; mkfifo failure`
  const { release, output } = await rig.push(await rig.app([await hostile.pack('true', place)]), SOURCE)
  assert.ok(release, output)
  assert.not.match(output, 'root:')
  const slug = rig.d.db.selectFrom('slugs').select('buildpack_description').where('id', '=', release.slug_id)
  assert.is((await slug.executeTakeFirst())?.buildpack_description, '')
})

for (const [what, script, message] of [
  ['the folder of the app', 'rm -rf "$1"; ln -s /app "$1"', /a buildpack removed build_/],
  ['the cache', 'rm -rf "$2"; ln -s /etc "$2"', /a buildpack removed cache/],
  ['what nobody may read', 'mkdir "$1/closed"; touch "$1/closed/x"; chmod 000 "$1/closed"', /could not be packed/],
] as const)
  test(`a build that replaces or closes ${what} fails, and the next one is none the worse`, async () => {
    const app = await rig.app([await hostile.pack(`[[ -e $1/good ]] || { ${script}; }`)])
    const { release, output } = await rig.push(app, SOURCE)
    assert.is(release, undefined)
    assert.match(output, message)
    const good = await rig.push(app, { ...SOURCE, good: '' })
    assert.ok(good.release, good.output)
  })

test.run()
