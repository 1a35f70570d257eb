import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { basesOf, imagesOfTrigger } from '../../daemon/build/container/dockerfile.ts'
import { parseDockerignore } from '../../daemon/build/container/dockerignore.ts'

const bases = (text: string, args = {}) => basesOf('Dockerfile', text, args)
const refused = (text: string, words: RegExp) => assert.throws(() => bases(text), words)

test('the images that a Dockerfile is built on are known, with its arguments', () => {
  assert.equal(bases('FROM node:20\nRUN x\n'), ['node:20'])
  const pinned = `node@sha256:${'1'.repeat(64)}`
  assert.equal(bases(`# c\n\nfrom --platform=linux/amd64 a/b AS One\nFROM one\nFROM scratch\nFROM ${pinned}`), [
    'a/b',
    pinned,
  ])
  const text = `ARG V=20\nARG IMAGE=node:\${V}\nFROM $IMAGE\nARG V=3\nFROM \${OTHER:-debian:13}`
  assert.equal(bases(text), ['node:20', 'debian:13'])
  assert.equal(bases(text, { V: '18' }), ['node:18', 'debian:13'])
  assert.equal(bases('FROM "no\\\nde:20"'), ['node:20'])
  assert.equal(bases('ARG A="node" B=20\nFROM "$A:$B"'), ['node:20'])
  assert.equal(
    bases('FROM x AS b\nRUN y\nFROM y\nCOPY --chown=$U:$G --from=B /a /b\nCOPY --from=0 /a /b\nCOPY --from=z / /'),
    [...['x', 'y', 'z']],
  )
})

test('no image is had by its id, which may be one of another app, nor by the name that holds one', () => {
  const id = /line \d: (ab|12|1|sha256:ab|[0-9a-f]{64}) is, or could be, the id of an image.*\1:latest|line \d: sha256/
  for (const text of [
    'FROM ab',
    'FROM sha256:ab',
    `FROM ${'ab'.repeat(32)}`,
    'ARG I=ab\nFROM $I',
    'FROM scratch\nCOPY --from=ab / /',
    'FROM scratch\nCOPY --chown=--from=0 --from=ab / /',
    'FROM scratch\nONBUILD COPY --from=ab / /',
    'FROM scratch AS ab\nCOPY --from=ab / /',
    'FROM scratch\nFROM scratch\nCOPY --from=1 / /',
    'FROM scratch\nCOPY --from=12 / /',
  ])
    refused(text, id)
  for (const name of ['sluice-1a/x:web', 'docker.io/sluice-1a/x:web', 'index.docker.io/sluice-1a/x:web'])
    refused(`FROM ${name}`, /line 1: .* is held for an app\. Push it to a registry/)
  assert.throws(() => imagesOfTrigger('COPY --from=ab / /', 'The image a (ONBUILD)'), /The image a .* is, or could be/)
  assert.equal(imagesOfTrigger('COPY --from=busybox / /', 'x'), ['busybox'])
  assert.equal(bases('FROM ada:latest AS ab\nFROM ab\nCOPY --from=ab / /'), ['ada:latest'])
})

test('what the engine could read otherwise is refused', () => {
  for (const [text, words] of [
    ['# escape=`\nFROM no`\nde', /line 1: escape=/],
    ['#\tEscape =`\nFROM a', /line 1: escape=/],
    ['FROM x\nRUN x \\\u00a0\nADD http://x /x', /line 2 has a white space other than/],
    ['FROM x\nRUN x \\\v\nADD http://x /x', /line 2 has a white space other than/],
    ['FROM x\nRUN x \\\r\r\nADD http://x /x', /line 2 has a white space other than/],
    ['FROM x\nRUN x \\\n\uFEFF# c\nADD http://x /x', /line 3 has a white space other than/],
    ['FROM x\nADD \u0085http://x /x', /line 2 has a white space other than/],
    ['FROM x\nRUN x \\\\\nADD http://x /x', /line 2 ends with two backslashes/],
    ['FROM x\nCOPY --fr\\om=ab / /', /line 2: options/],
    ['FROM x\nCOPY --"from"=ab / /', /line 2: options/],
    [`FROM \${A:-\${B}}`, /line 1: .* is no name of an image/],
    ['FROM $1ab', /line 1: .* is no name of an image/],
    ["FROM a'b'", /line 1: .* is no name of an image/],
    ['FROM $NONE', /line 1: .* is no name of an image/],
    ['ARG A="x y" B=ab\nFROM a$B', /line 1: ARG/],
    [`ARG A=xxxxxxxxxx\n${'ARG A=$A$A\n'.repeat(40)}FROM $A`, /the value of A is too long/],
    ['FROM x\nCOPY --from=$A / /', /line 2: .* is no name of an image/],
  ] as const)
    refused(text, words)
  assert.equal(bases('\uFEFFFROM x\r\nRUN echo "\\\\" \\\r\n  # c\r\n\r\n  && y\r\nCMD ["ü"]'), ['x'])
})

test('the engine fetches no URL for a Dockerfile, however it is written', () => {
  const words = /Dockerfile, line 2: ADD takes only plain names/
  for (const add of [
    'ADD http://169.254.169.254/latest /x',
    'add --chown=1:1 https://example.com/a /x',
    'ADD ["http://example.com", "/x"]',
    'ADD ["\\u0068ttp://example.com", "/x"]',
    'ADD h"tt"p://example.com /x',
    'ADD $URL /x',
    'ONBUILD ADD http://example.com /x',
    'AD\\\nD http://example.com /x',
    'AD\\  \n# between\n\nD http://example.com /x',
    'ADD --chown=a ["x", "y http://example.com", "/x"]',
    'ADD a http://example.com /x',
  ])
    refused(`FROM x\n${add}`, words)
  for (const fine of ['ADD . /x', 'ADD --chown=$U:$G a.tar /x', 'ADD ["a b", "/x"]', 'COPY $A /x', 'RUN curl http://x'])
    assert.equal(bases(`FROM x\n${fine}`), ['x'])
  assert.throws(() => imagesOfTrigger('ADD http://x /y', 'The image a (ONBUILD)'), /The image a \(ONBUILD\): ADD/)
})

test('the engine asks no registry of this machine, and none where clouds have their metadata', () => {
  for (const host of ['localhost:5000', '127.0.0.1', '127.1:80', '169.254.169.254', '2130706433:5000', '0x7f.1:80'])
    refused(`FROM ${host}/x`, /images of .* cannot be used here/)
  refused('FROM x\nCOPY --from=localhost/x /a /b', /line 2: images of localhost cannot/)
  refused(`ARG R=127.0.0.1\nFROM \${R}/x`, /cannot be used here/)
  refused('FROM "localhost:80/x"', /cannot be used here/)
  assert.equal(bases('FROM 10.0.0.7:5000/x\nFROM ghcr.io/a/b:1\nFROM library/node'), [
    '10.0.0.7:5000/x',
    'ghcr.io/a/b:1',
    'library/node',
  ])
})

test('a .dockerignore leaves files out as Docker does', () => {
  const kept = (text: string, paths: string[]) => paths.filter((path) => !parseDockerignore(text)(path))
  const all = ['a', 'a/b', 'a/b/c.md', 'README.md', 'x.js', 'sub/x.js', 'sub/deep/x.js', 'temp1', 'temp', 'ütf']
  assert.equal(kept('', all), all)
  assert.equal(kept('# no\n\n/a/\n*.md\n', all), ['x.js', 'sub/x.js', 'sub/deep/x.js', 'temp1', 'temp', 'ütf'])
  assert.equal(kept('**/x.js', all), ['a', 'a/b', 'a/b/c.md', 'README.md', 'temp1', 'temp', 'ütf'])
  assert.equal(kept('*\n!sub/**/x.js\n!README.md', all), ['README.md', 'sub/x.js', 'sub/deep/x.js'])
  assert.equal(kept('*\n!a\na/b/*.md', all), ['a', 'a/b'])
  assert.equal(kept('temp?\nsub/*/x.js', all), ['a', 'a/b', 'a/b/c.md', 'README.md', 'x.js', 'sub/x.js', 'temp', 'ütf'])
  assert.equal(kept('[a-r]*\n[^s-z]*', ['b', 'q/z', 'sub', 'tmp', 'A']), ['sub', 'tmp'])
  assert.equal(
    kept('a/../x.js\n.', all),
    all.filter((path) => path !== 'x.js'),
  )
  assert.equal(kept('\\*.js\na\\?', ['*.js', 'x.js', 'a?', 'ab']), ['x.js', 'ab'])
  assert.equal(kept('**', all), [])
  assert.equal(kept('a/**', all).slice(0, 1), ['a'])
})

test('no pattern takes long', () => {
  const ignored = parseDockerignore(`${'*a'.repeat(200)}b\n${'**/'.repeat(100)}zz\n`)
  assert.is(ignored('a'.repeat(4000)), false)
  assert.is(ignored(Array(1000).fill('a').join('/')), false)
})

test.run()
