import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { accountNamed } from '../../daemon/account/account.ts'
import { replaceInstallations } from '../../daemon/app/buildpack.ts'
import { repositoryPath } from '../../daemon/git/repository.ts'
import { type Copy, type Rig, startRig } from './git-rig.ts'

let rig: Rig
let copy: Copy
test.before.each(async () => {
  rig = await startRig()
  copy = await rig.copy()
  await copy.git('remote', 'add', 'heroku', rig.url)
})
test.after.each(() => rig.close())

const push = () => copy.git('push', 'heroku', 'main')

/** Unpacks what the last push deployed as a build does, and compares it with the working copy: names, contents, modes, links. */
async function arrived(): Promise<void> {
  const out = await mkdtemp(join(tmpdir(), 'sluice-tree-'))
  try {
    execFileSync('tar', ['-C', out, '-x'], { input: rig.deployed.at(-1)?.tar })
    const options = ['-r', '--no-dereference', '--exclude=.git', copy.path, out]
    assert.is(execFileSync('diff', options).toString(), '')
    const list = (path: string) =>
      execFileSync('find', ['.', '-path', './.git', '-prune', '-o', '!', '-type', 'd', '-printf', '%P %#m %l\\0'], {
        cwd: path,
      })
        .toString('latin1')
        .split('\0')
        .sort()
    assert.equal(list(out), list(copy.path))
  } finally {
    await rm(out, { recursive: true, force: true })
  }
}

test('links, executable bits and odd names reach the build as they are', async () => {
  await mkdir(join(copy.path, 'Case'))
  await mkdir(join(copy.path, 'case'))
  await symlink('/etc/passwd', join(copy.path, 'absolute'))
  await symlink('nowhere', join(copy.path, 'dangling'))
  await symlink('lib', join(copy.path, 'folder'))
  await writeFile(join(copy.path, 'run'), '#!/bin/sh\n', { mode: 0o755 })
  const names = ['-rf', 'new\nline', 'quo"te\'s', ' ', 'back\\slash', 'größe', 'Case/a', 'case/A', 'x'.repeat(255)]
  names.push(`${'deep/'.repeat(150)}f`)
  for (const name of names) {
    await mkdir(join(copy.path, name, '..'), { recursive: true })
    await writeFile(join(copy.path, name), name)
  }
  await writeFile(Buffer.concat([Buffer.from(`${copy.path}/latin-`), Buffer.from([0xe9])]), 'no UTF-8')
  await copy.commit({})
  const { code, stderr } = await push()
  assert.is(code, 0, stderr)
  await arrived()
})

test('attributes leave no file out and change none', async () => {
  const attributes =
    '* export-ignore\n*.crlf text eol=crlf\n*.id ident\n*.subst export-subst\n*.f filter=x\n.gitattributes export-ignore\n'
  await copy.commit({
    '.gitattributes': attributes,
    'a.crlf': 'one\ntwo\n',
    'b.id': '$Id$\n',
    'c.subst': '$Format:%H$\n',
    'd.f': 'x',
  })
  // The copy itself has the line ends that it asks for.
  await copy.git('-c', 'core.attributesFile=/dev/null', 'push', 'heroku', 'main')
  const files = rig.deployed.at(-1)?.files ?? {}
  assert.is(files['a.crlf'], 'one\ntwo\n')
  assert.is(files['b.id'], '$Id$\n')
  assert.is(files['c.subst'], '$Format:%H$\n')
  assert.is(files['.gitattributes'], attributes)
  assert.is(files['lib/deep.js'], 'deep')
})

test('a repository of an earlier version gets its attributes with the next push', async () => {
  await push()
  await rm(join(repositoryPath(rig.host.d.config.data, rig.app.id), 'info'), { recursive: true })
  await copy.commit({ '.gitattributes': '* export-ignore\n' })
  await push()
  assert.is(rig.deployed.at(-1)?.files['index.js'], 'hello')
})

test('a commit without files deploys, and a push without commits says what is missing', async () => {
  await copy.git('rm', '-q', '-r', '.')
  await copy.commit({})
  const { code, stderr } = await push()
  assert.is(code, 0, stderr)
  assert.equal(rig.deployed.at(-1)?.files, {})
  const none = await copy.git('push', 'heroku', 'nothing')
  assert.match(none.stderr, /src refspec nothing does not match any/)
})

test('HEAD:main and a signed-looking tag deploy what they are; a branch that is stored already deploys without a new object', async () => {
  await copy.git('push', 'heroku', 'main:topic')
  assert.is(rig.deployed.length, 0)
  const { code, stderr } = await copy.git('push', 'heroku', 'HEAD:main')
  assert.is(code, 0, stderr)
  assert.is(rig.deployed.at(-1)?.files['index.js'], 'hello')
  await copy.git('tag', '-a', '-m', 'one', 'v1')
  await copy.commit({ 'index.js': 'two' })
  await push()
  assert.is(rig.deployed.at(-1)?.files['index.js'], 'two')
})

const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12345\n`

test('pointers of Git LFS are refused by name, before a build begins, unless a buildpack fetches them', async () => {
  const files = {
    '.gitattributes': '*.png filter=lfs diff=lfs merge=lfs -text\n',
    'a b.png': POINTER,
    'README.md': `As in:\n${POINTER}`,
  }
  await copy.commit({ ...files, 'large.md': POINTER + 'x'.repeat(1024) })
  const { code, stderr } = await push()
  assert.is(code, 1)
  assert.match(stderr, /remote: {2}! {5}Git LFS has replaced files of this source by pointers, .*: a b\.png\. *\n/)
  assert.match(stderr, /git lfs migrate export/)
  assert.match(stderr, /pre-receive hook declined/)
  assert.is(rig.deployed.length, 0)
  const admin = await accountNamed(rig.host.d.db, 'admin@example.com')
  assert.ok(admin)
  await replaceInstallations(rig.host.d, rig.app, admin, ['https://example.com/heroku-buildpack-git-lfs'])
  const again = await push()
  assert.is(again.code, 0, again.stderr)
  assert.is(rig.deployed.at(-1)?.files['a b.png'], POINTER)
})

test('names that no file can have are refused by name', async () => {
  const blob = (await copy.git('hash-object', '-w', 'index.js')).stdout.trim()
  for (const [name, why] of [
    ['n'.repeat(256), /has a name of more than 255 bytes/],
    [Array<string>(20).fill('d'.repeat(200)).join('/'), /is longer than 3900 bytes/],
  ] as const) {
    await copy.git('update-index', '--add', '--cacheinfo', `100644,${blob},${name}`)
    await copy.git('commit', '-q', '-m', 'odd')
    const { code, stderr } = await push()
    assert.is(code, 1)
    assert.match(stderr, why)
    await copy.git('reset', '-q', '--hard', 'HEAD^')
  }
  assert.is(rig.deployed.length, 0)
})

test('a repository with SHA-256 names is refused in words', async () => {
  await push()
  await copy.git('init', '-q', '--object-format=sha256', 'other')
  await copy.git('-C', 'other', 'commit', '-q', '--allow-empty', '-m', 'x')
  const { code, stderr } = await copy.git('-C', 'other', 'push', rig.url, 'HEAD:main')
  assert.is.not(code, 0)
  assert.match(stderr, /does not support this repository's hash algorithm/)
  assert.is(rig.deployed.length, 1)
})

test('a shallow clone is deployed, and so is the whole history after it', async () => {
  await copy.commit({ 'index.js': 'two' })
  await copy.git('clone', '-q', '--depth=1', `file://${copy.path}`, 'shallow')
  const { code, stderr } = await copy.git('-C', 'shallow', 'push', rig.url, 'HEAD:main')
  assert.is(code, 0, stderr)
  assert.is(rig.deployed.at(-1)?.files['index.js'], 'two')
  await rm(join(copy.path, 'shallow'), { recursive: true })
  const commit = await copy.commit({ 'index.js': 'three' })
  const whole = await push()
  assert.is(whole.code, 0, whole.stderr)
  assert.match((await copy.git('ls-remote', 'heroku', 'main')).stdout, commit)
  const clone = await copy.git('clone', '-q', rig.url, 'cloned')
  assert.is(clone.code, 0, clone.stderr)
  assert.is((await copy.git('-C', 'cloned', 'fsck')).code, 0)
})

test.run()
