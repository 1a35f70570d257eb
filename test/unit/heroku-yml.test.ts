import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseHerokuYml } from '../../daemon/build/container/heroku-yml.ts'
import { shellWords } from '../../daemon/build/container/image.ts'

const processes = (yaml: string) => Object.fromEntries(parseHerokuYml(yaml).processes)

const refused = (yaml: string, ...words: RegExp[]) => {
  try {
    parseHerokuYml(yaml)
  } catch (error) {
    for (const word of words) assert.match((error as Error).message, word)
    return assert.match((error as Error).message, /^heroku\.yml is not valid, so nothing was built:\n- /)
  }
  assert.unreachable(`${yaml} was accepted`)
}

test('a Dockerfile by process type is built, and runs its own CMD', () => {
  const { images, args, setup } = parseHerokuYml(
    'build:\n  docker:\n    web: Dockerfile\n    worker: ./jobs/Dockerfile\n',
  )
  assert.equal(Object.fromEntries(images), {
    web: { dockerfile: 'Dockerfile', target: undefined },
    worker: { dockerfile: 'jobs/Dockerfile', target: undefined },
  })
  assert.equal([args, setup], [{}, { addons: [], config: {} }])
  assert.equal(processes('build: {docker: {web: Dockerfile}}'), { web: { command: null, image: 'web' } })
})

test('everything that the documentation of heroku.yml has is read', () => {
  const { setup, images, args, processes } = parseHerokuYml(`
setup:
  addons:
    - plan: heroku-postgresql
      as: DATABASE
    - heroku-redis
  config: &config
    S3_BUCKET: my-example-bucket
    SIZE: 12
    ON: true
build:
  docker:
    web: Dockerfile
    worker:
      dockerfile: worker/Dockerfile
      target: builder
  config:
    <<: *config
    RAILS_ENV: development
release:
  image: worker
  command:
    - ./one.sh
    - ./two.sh --fast
run:
  web: bundle exec puma -C config/puma.rb
  worker:
    command: [python myworker.py]
  asset-syncer:
    command:
      - python asset-syncer.py
    image: web
  spare:
    image: worker
`)
  assert.equal(setup, {
    addons: ['heroku-postgresql', 'heroku-redis'],
    config: { S3_BUCKET: 'my-example-bucket', SIZE: '12', ON: 'true' },
  })
  assert.equal(images.get('worker'), { dockerfile: 'worker/Dockerfile', target: 'builder' })
  assert.equal(args, { S3_BUCKET: 'my-example-bucket', SIZE: '12', ON: 'true', RAILS_ENV: 'development' })
  assert.equal(Object.fromEntries(processes), {
    web: { command: 'bundle exec puma -C config/puma.rb', image: 'web' },
    worker: { command: 'python myworker.py', image: 'worker' },
    'asset-syncer': { command: 'python asset-syncer.py', image: 'web' },
    spare: { command: null, image: 'worker' },
    release: { command: './one.sh && ./two.sh --fast', image: 'worker' },
  })
})

test('a release command runs in the image that is built for it, and else in that of web', () => {
  const release = 'release: {command: migrate}\nbuild:\n  docker:\n    web: Dockerfile\n'
  assert.is(processes(release).release?.image, 'web')
  assert.is(processes(`${release}    release: {dockerfile: Dockerfile, target: full}\n`).release?.image, 'release')
  refused(
    'release: {command: migrate}\nbuild: {docker: {worker: Dockerfile}}',
    /release: no image web is built.*worker/,
  )
})

test('what is wrong is named with its place', () => {
  refused('build: {docker: {web: Dockerfile}}\nrum: {web: x}', /- unrecognized key: "rum"/)
  refused('build: {docker: {web: {dockerfile: a, from: b}}}', /- build\.docker\.web: unrecognized key: "from"/)
  refused('build: {docker: {web: [a]}}', /build\.docker\.web/)
  refused('run: {web: x}', /- build: /)
  refused('build: {docker: {web: Dockerfile}}\nrelease: {}', /release\.command: must be a command/)
  refused('build: {docker: {web: Dockerfile}}\nrun: {worker: x}', /run\.worker: no image worker is built/)
  refused('build: {docker: {web: ../Dockerfile}}', /build\.docker\.web: "\.\.\/Dockerfile" is not a path in the source/)
  refused('build: {docker: {web: /etc/passwd}}', /is not a path in the source/)
  refused('build: {docker: {run: Dockerfile}}', /"run" cannot be a process type/)
  refused('build: {docker: {-web: Dockerfile}}', /-web begins with a dash/)
  refused('build: {docker: {web: Dockerfile}, config: {A-B: x}}', /A-B/)
  refused('build: {docker: {web: Dockerfile}, config: {A: [x]}}', /build\.config\.A: must be a text/)
  refused('build: {docker: {web: Dockerfile}}\nbuild: {}', /not valid YAML \(line 2\)/)
  refused('a: [', /not valid YAML/)
  refused('', /build|object/)
  refused('build: {docker: {}}', /build\.docker/)
})

test('buildpacks in a heroku.yml are refused with what to do', () => {
  refused('build: {languages: [ruby]}', /build\.languages is not supported.*heroku stack:set heroku-24/)
  refused('build: {docker: {web: x}, packages: [{install: a}]}', /build\.packages is not supported/)
})

test('aliases do not make a small file a large one', () => {
  const bomb = ['a0: &a0 [x,x,x,x,x,x,x,x,x]']
  for (let n = 1; n < 9; n++)
    bomb.push(
      `a${n}: &a${n} [${Array(9)
        .fill(`*a${n - 1}`)
        .join(',')}]`,
    )
  refused(bomb.join('\n'), /alias/i)
})

test('the command of an image is shown as a shell reads it', () => {
  assert.is(shellWords(['/bin/sh', '-c', 'node a.js && b']), '/bin/sh -c node\\ a.js\\ \\&\\&\\ b')
  assert.is(shellWords(['a', '', "it's"]), "a '' it\\'s")
})

test('what is nested without end is not given to the parser, whose recursion could end the daemon', () => {
  for (const level of ['- ', '? ', '[', '{a: ', 'a: ', '- a: ', '- ? ', '&a - '])
    for (const text of [level.repeat(2000), `build: ${level.repeat(2000)}`, `- - -\n ${level.repeat(2000)}`])
      assert.throws(() => parseHerokuYml(text), /nested too deeply/)
  const stairs = Array.from({ length: 150 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')
  for (const text of [stairs, stairs.replaceAll('a:', 'a:\r'), stairs.replaceAll(':', ' :')])
    assert.throws(() => parseHerokuYml(text), /nested too deeply/)
  assert.throws(() => parseHerokuYml('"'.repeat(20_000)), /larger than 16 KB/)
  const commands = Array.from({ length: 40 }, (_, n) => `  w${n}: {command: ['[ -f x ]']}`).join('\n')
  assert.is(
    parseHerokuYml(`build: {docker: {web: Dockerfile}}\nrun:\n${commands.replaceAll("']}", "'], image: web}")}`)
      .processes.size,
    41,
  )
})

test.run()
