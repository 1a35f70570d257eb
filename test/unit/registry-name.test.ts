import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readConfig } from '../../daemon/config.ts'
import { UserError } from '../../daemon/errors.ts'
import { parseReference } from '../../daemon/registry/elsewhere.ts'
import { parsePath } from '../../daemon/registry/name.ts'
import { RegistryError } from '../../daemon/registry/refusal.ts'
import { describe, merge } from '../../daemon/registry/release.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

test('paths of the protocol name an app and a process type, whatever those are called', () => {
  assert.equal(parsePath('/v2/'), { kind: 'ping' })
  assert.equal(parsePath('/v2/_catalog'), { kind: 'catalog' })
  const of = (path: string) => {
    const wanted = parsePath(path)
    return 'app' in wanted ? [wanted.kind, wanted.app, wanted.type, wanted.reference] : [wanted.kind]
  }
  assert.equal(of('/v2/shop/web/manifests/latest'), ['manifest', 'shop', 'web', 'latest'])
  assert.equal(of(`/v2/shop/my_worker/blobs/${DIGEST}`), ['blob', 'shop', 'my_worker', DIGEST])
  assert.equal(of('/v2/shop/web/blobs/uploads/'), ['upload', 'shop', 'web', ''])
  assert.equal(of('/v2/tags/manifests/tags/list'), ['tags', 'tags', 'manifests', 'list'])
  assert.equal(of('/v2/blobs/blobs/manifests/blobs'), ['manifest', 'blobs', 'blobs', 'blobs'])
})

test('what is no name of an image here, or leads out of the protocol, is refused', () => {
  const code = (path: string): string => {
    try {
      return `parsed ${JSON.stringify(parsePath(path))}`
    } catch (error) {
      return error instanceof RegistryError ? error.code : String(error)
    }
  }
  for (const name of [
    'shop',
    'a/b/c',
    'shop/Web',
    'shop/-web',
    '../web',
    'shop/..',
    `shop/${'x'.repeat(64)}`,
    'sh%2fop/web',
  ])
    assert.is(code(`/v2/${name}/manifests/latest`), 'NAME_INVALID', name)
  for (const rest of [
    'manifests/a/b',
    'manifests/..',
    'blobs/latest',
    'blobs/uploads/../x',
    'blobs/uploads/a%2fb',
    'tags',
    `referrers/${DIGEST}`,
    '',
  ])
    assert.is(code(`/v2/shop/web/${rest}`), 'NAME_UNKNOWN', rest)
})

test('images of other registries are named by digest, with their host', () => {
  const { registry, name, digest } = parseReference(`registry.example.com:5000/team/thing:v1@${DIGEST}`)
  assert.equal([registry, name, digest], ['registry.example.com:5000', 'team/thing', DIGEST])
  assert.is(parseReference(`[fd00::1]:5000/thing@${DIGEST}`).registry, '[fd00::1]:5000')
  const wrong = ['example.com/thing:latest', `thing@${DIGEST}`, `team/thing@${DIGEST}`, 'example.com/thing@sha256:1']
  for (const text of [
    ...wrong,
    `example.com/../x@${DIGEST}`,
    `user@example.com/x@${DIGEST}`,
    `https://example.com/x@${DIGEST}`,
  ])
    assert.throws(
      () => parseReference(text),
      (error: unknown) => error instanceof UserError,
      text,
    )
})

test('what is no digest is told apart from what is not whole', () => {
  assert.throws(() => parseReference('latest'), /^latest names an image that may be another one tomorrow/)
  for (const text of ['sha256:12ab', 'example.com/thing@sha256:12ab'])
    assert.throws(() => parseReference(text), /is no image that can be released: .* with all 64 digits\.$/)
})

const image = (letter: string) => ({ id: `sha256:${letter.repeat(64)}`, command: null })

test('a release takes over the images that it does not name, and is none when nothing changes', () => {
  const current = new Map([
    ['web', image('a')],
    ['worker', image('b')],
  ])
  assert.equal(
    [...(merge(current, new Map([['web', image('c')]])) ?? [])],
    [
      ['web', image('c')],
      ['worker', image('b')],
    ],
  )
  assert.equal([...(merge(current, new Map([['web', null]])) ?? [])], [['worker', image('b')]])
  assert.is(merge(current, new Map([['worker', image('b')]])), undefined)
  const built = new Map([['web', { ...image('a'), command: 'start' }]])
  assert.equal(
    [...(merge(built, new Map([['web', image('a')]])) ?? [])],
    [['web', image('a')]],
    'its own CMD from now on',
  )
  assert.throws(() => merge(current, new Map([['clock', null]])), /clock/)
})

test("releases are described in Heroku's words", () => {
  const changes = new Map([
    ['web', image('a')],
    ['worker', image('b')],
    ['clock', null],
  ])
  assert.is(describe(changes), 'Deployed web (aaaaaaaaaaaa), worker (bbbbbbbbbbbb). Removed clock')
})

test('the setting names a program, a registry elsewhere, or none', () => {
  const set = (SLUICE_REGISTRY: string) => readConfig({ SLUICE_REGISTRY }).registry
  assert.equal(set('/bin/sh'), { program: '/bin/sh' })
  assert.equal(set('https://registry.example.com'), { url: 'https://registry.example.com' })
  assert.is(set('none'), undefined)
  for (const wrong of ['registry.example.com', '/no/such/program', 'ftp://x'])
    assert.throws(() => set(wrong), /SLUICE_REGISTRY/)
})

test.run()
