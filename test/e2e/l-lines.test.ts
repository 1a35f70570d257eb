import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { early } from './early.ts'
import { startPlatform } from './platform.ts'
import { sampleFiles, web } from './source.ts'
import { read, type Story, show, since } from './story.ts'
import { waitFor } from './wait.ts'

/** What a person reads in `heroku logs`: whole sequences, in Heroku's words and order. */
const platform = await startPlatform()
test.after(() => platform.stop())

const USER = 'by user admin@sluice.localhost'
const cli = async (...args: string[]) => {
  const { code, output } = await platform.heroku(args)
  if (code !== 0) throw new Error(`heroku ${args.join(' ')}: ${output}`)
}
const now = (app: string) => read(platform, app)
const short = (commit: string) => commit.slice(0, 8)
const starting = (name: string, command = web) => `heroku[${name}]: Starting process with command \`${command}\``
const state = (name: string, from: string, to: string) => `heroku[${name}]: State changed from ${from} to ${to}`
const sigterm = (name: string) => `heroku[${name}]: Stopping all processes with SIGTERM`
const exited = (name: string, status: number) => `heroku[${name}]: Process exited with status ${status}`
const restarting = (name: string) => [`heroku[${name}]: Restarting`, state(name, 'up', 'starting')]
/** A web dyno is replaced: its successor starts beside it. */
const replaced = (name: string) => [
  ...restarting(name),
  starting(name),
  state(name, 'starting', 'up'),
  sigterm(name),
  exited(name, 143),
]
const of = (story: string[], name: string) => story.filter((line) => line.startsWith(`heroku[${name}]`))

const source = await platform.prepare(async () => {
  await platform.createApp('told')
  return platform.createSource(sampleFiles())
})

test('the first deploy', async () => {
  const { code, output } = await platform.push(source, 'told')
  assert.is(code, 0, output)
  const story = await since(platform, 'told', { before: [], last: /starting to up$/ })
  assert.equal(story, [
    `app[api]: Initial release ${USER}`,
    `app[api]: Release v1 created ${USER}`,
    `app[api]: Build started ${USER}`,
    `app[api]: Deploy ${short(await source.head())} ${USER}`,
    `app[api]: Release v2 created ${USER}`,
    `app[api]: Scaled to web@1:Basic ${USER}`,
    'app[api]: Build succeeded',
    starting('web.1'),
    state('web.1', 'starting', 'up'),
  ])
  assert.ok((await now('told')).some((line) => /^app\[web\.1\]: v1 listens on \d+$/.test(line)))
})

test('a build is in the log as git showed it', async () => {
  const before = await now('told')
  await source.version('v2')
  const { output } = await platform.push(source, 'told')
  const story = await since(platform, 'told', { before, last: /status 143$/ })
  assert.equal(story, [
    `app[api]: Build started ${USER}`,
    `app[api]: Deploy ${short(await source.head())} ${USER}`,
    `app[api]: Release v3 created ${USER}`,
    'app[api]: Build succeeded',
    ...replaced('web.1'),
  ])
  const said = (lines: string[], who: RegExp) =>
    lines.filter((line) => who.test(line)).map((line) => line.replace(who, '').trimEnd())
  const shown = said(output.split('\n'), /^remote: ?/)
  const logged = said((await now('told')).slice(before.length), /^app\[build\]: /)
  assert.equal(logged, shown.slice(0, logged.length))
  assert.is(logged.at(-1), 'Verifying deploy... done.')
})

test('a change of config vars, a restart and a rollback replace each dyno', async () => {
  for (const { args, lines } of [
    {
      args: ['config:set', 'A=1', 'B=2'],
      lines: [`app[api]: Set A, B config vars ${USER}`, `app[api]: Release v4 created ${USER}`],
    },
    {
      args: ['config:unset', 'A'],
      lines: [`app[api]: Remove A config vars ${USER}`, `app[api]: Release v5 created ${USER}`],
    },
    { args: ['ps:restart'], lines: [] },
    {
      args: ['releases:rollback', 'v3'],
      lines: [`app[api]: Rollback to v3 ${USER}`, `app[api]: Release v6 created ${USER}`],
    },
  ]) {
    const before = await now('told')
    await cli(...args, '--app', 'told')
    const story = await since(platform, 'told', { before, last: /status 143$/ })
    assert.equal(story, [...lines, ...replaced('web.1')], args.join(' '))
  }
})

test('a dyno that is stopped comes back, while or after it ends', async () => {
  const before = await now('told')
  await cli('ps:stop', 'web.1', '--app', 'told')
  const story = await waitFor('the old to end and the new to be up', async () => {
    const lines = of((await now('told')).slice(before.length), 'web.1')
    return lines.includes(exited('web.1', 143)) && lines.includes(state('web.1', 'starting', 'up')) && lines
  })
  assert.equal(story.slice(0, 2), restarting('web.1'))
  assert.equal([...story].sort(), replaced('web.1').sort())
})

test('scaling up and down', async () => {
  const before = await now('told')
  await cli('ps:scale', 'web=2', '--app', 'told')
  assert.equal(await since(platform, 'told', { before, last: /starting to up$/ }), [
    `app[api]: Scaled to web@2:Basic ${USER}`,
    starting('web.2'),
    state('web.2', 'starting', 'up'),
  ])
  const both = await now('told')
  await cli('ps:scale', 'web=0', '--app', 'told')
  const story = await waitFor('both dynos to have ended', async () => {
    const lines = (await now('told')).slice(both.length)
    return lines.filter((line) => /status 143$/.test(line)).length === 2 && lines
  })
  assert.is(story[0], `app[api]: Scaled to web@0:Basic ${USER}`)
  for (const name of ['web.1', 'web.2'])
    assert.equal(of(story, name), [state(name, 'up', 'down'), sigterm(name), exited(name, 143)])
})

test('maintenance and domains', async () => {
  const before = await now('told')
  await cli('maintenance:on', '--app', 'told')
  await cli('maintenance:off', '--app', 'told')
  await cli('domains:add', 'www.example.com', '--app', 'told')
  await cli('domains:remove', 'www.example.com', '--app', 'told')
  assert.equal((await now('told')).slice(before.length), [
    `app[api]: Maintenance mode enabled ${USER}`,
    `app[api]: Maintenance mode disabled ${USER}`,
    `app[api]: Add domain www.example.com ${USER}`,
    `app[api]: Remove domain www.example.com ${USER}`,
  ])
})

test('a release command, one that succeeds and one that fails', async () => {
  const release = 'echo the tables are made'
  const good = await platform.deploy('phased', { web, release })
  const except = /^app\[(web|build|release)/
  const first = await since(platform, 'phased', { before: [], last: /starting to up$/, except })
  assert.equal(first.slice(4), [
    `app[api]: Running release v2 commands ${USER}`,
    `app[api]: Scaled to web@1:Basic ${USER}`,
    'app[api]: Build succeeded',
    starting('release.2', release),
    state('release.2', 'starting', 'up'),
    exited('release.2', 0),
    state('release.2', 'up', 'complete'),
    `app[api]: Release v2 created ${USER}`,
    starting('web.1'),
    state('web.1', 'starting', 'up'),
  ])
  const before = await now('phased')
  const bad = 'echo no such table; exit 3'
  await good.version('v2', { web, release: bad })
  assert.is.not((await platform.push(good, 'phased')).code, 0)
  const story = await since(platform, 'phased', { before, last: /still serves\.$/, except })
  assert.equal(story.slice(1), [
    `app[api]: Deploy ${short(await good.head())} ${USER}`,
    `app[api]: Running release v3 commands ${USER}`,
    'app[api]: Build succeeded',
    starting('release.3', bad),
    state('release.3', 'starting', 'up'),
    exited('release.3', 3),
    state('release.3', 'up', 'complete'),
    `app[api]: Release v3 command failed ${USER}`,
    'app[api]: Release v3 failed: The release command exited with status 3. v2 still serves.',
  ])
  const all = await now('phased')
  assert.ok(all.indexOf('app[release.2]: the tables are made') < all.indexOf(exited('release.2', 0)))
  assert.ok(all.indexOf('app[release.3]: no such table') < all.indexOf(exited('release.3', 3)))
  assert.ok(all.includes('app[release.2]: the tables are made') && all.includes('app[release.3]: no such table'))
})

test('a release that crashes on boot', async () => {
  const good = await platform.deploy('crashing')
  await since(platform, 'crashing', { before: [], last: /starting to up$/ })
  const before = await now('crashing')
  const command = `BOOT=exit ${web}`
  await good.version('v2', { web: command })
  assert.is.not((await platform.push(good, 'crashing')).code, 0)
  const story = await since(platform, 'crashing', { before, last: /still serves\.$/, except: /^app\[build/ })
  assert.equal(story.slice(4), [
    ...restarting('web.1'),
    starting('web.1', command),
    'app[web.1]: cannot reach the database',
    exited('web.1', 1),
    state('web.1', 'starting', 'crashed'),
    'app[api]: Release v3 failed: web.1 exited with status 1 before it accepted connections on $PORT. v2 still serves.',
  ])
})

early('R10: a release that does not listen', async () => {
  const command = `BOOT=deaf ${web}`
  await platform.createApp('deaf')
  const { code } = await platform.push(await platform.createSource(sampleFiles({ web: command })), 'deaf')
  assert.is.not(code, 0)
  const story = await since(platform, 'deaf', { before: [], last: /to down$/, except: /^app\[build/ })
  assert.equal(story.slice(7), [
    starting('web.1', command),
    'app[web.1]: thinking forever',
    'heroku[web.1]: Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch',
    'heroku[web.1]: Stopping process with SIGKILL',
    // It may die of the SIGTERM that comes just before.
    story.find((line) => /exited with status (137|143)$/.test(line)) ?? exited('web.1', 137),
    state('web.1', 'starting', 'crashed'),
    story.at(-2) ?? '',
    state('web.1', 'crashed', 'down'),
  ])
  assert.match(
    story.at(-2) ?? '',
    /^app\[api\]: Release v2 failed: web\.1 did not accept connections.*Nothing serves yet\.$/,
  )
})

const perl = (script: string) => `perl -e '$| = 1; ${script}'`

test('a worker that crashes comes back, once at once and then after a while', async () => {
  const worker = perl('print "works\\n"; sleep 1; print "last words\\n"; exit 3')
  await platform.deploy('worker', { worker })
  const before = await now('worker')
  await cli('ps:scale', 'worker=1', '--app', 'worker')
  const story = await since(platform, 'worker', { before, last: /crashed$/, except: /^$/ })
  const once = [
    starting('worker.1', worker),
    state('worker.1', 'starting', 'up'),
    'app[worker.1]: works',
    'app[worker.1]: last words',
    exited('worker.1', 3),
    state('worker.1', 'up', 'crashed'),
  ]
  assert.is(story[0], `app[api]: Scaled to worker@1:Basic ${USER}`)
  const twice = await waitFor('the second crash', async () => {
    const lines = (await now('worker')).slice(before.length + 1)
    return lines.filter((line) => line.endsWith('up to crashed')).length >= 2 && lines
  })
  // what it says and what becomes of it come by two ways: only its last words are before its end
  assert.equal(
    of(twice, 'worker.1').slice(0, 9),
    of([...once, state('worker.1', 'crashed', 'starting'), ...once], 'worker.1'),
  )
  const places = (wanted: string) => twice.flatMap((line, at) => (line === wanted ? [at] : []))
  const [words, ends] = [places('app[worker.1]: last words'), places(exited('worker.1', 3))]
  assert.ok(ends.length >= 2 && ends.every((end, at) => (words[at] ?? end) < end), twice.join('\n'))
  assert.ok(places('app[worker.1]: works').length >= 2)
  await waitFor('ps to say since when it is crashed', async () => {
    const { stdout } = await platform.heroku(['ps', '--app', 'worker'])
    if (!/^worker\.1: crashed \d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d [+-]\d{4} \(~ \d+s ago\)$/m.test(stdout))
      throw new Error(stdout)
    return true
  })
})

/** Takes what memory there is. */
const greedy = 'my @all; push @all, q(x) x 10_000_000 while 1'
const limited = {
  stubborn: perl('$SIG{TERM} = "IGNORE"; print "ready\\n"; sleep 1000'),
  frozen: perl('print "ready\\n"; kill "STOP", $$; sleep 1000'),
  greedy: perl(greedy),
  parent: perl(`exit 1 if system $^X, "-e", q{${greedy}}`),
  lasting: perl(`system $^X, "-e", q{${greedy}}; print "lives on\\n"; sleep 1000`),
  weary: perl('kill "KILL", $$; sleep 10'),
  forking: perl('use POSIX; exit 0 if fork; POSIX::setsid(); sleep 1000'),
}
const limits = platform.deploy('limits', limited)
limits.catch(() => {})
const scale = async (quantities: Record<string, number>) => {
  await limits
  await cli('ps:scale', ...Object.entries(quantities).map(([type, count]) => `${type}=${count}`), '--app', 'limits')
}
const STUBBORN = ['stubborn.1', 'frozen.1']

early('R12: workers that ignore SIGTERM, or are stopped, are killed and told after thirty seconds', async () => {
  await scale({ stubborn: 1, frozen: 1 })
  await waitFor('the workers to be up and to ignore', async () => {
    const lines = await now('limits')
    const told = STUBBORN.flatMap((name) => [`app[${name}]: ready`, state(name, 'starting', 'up')])
    return told.every((one) => lines.includes(one))
  })
  await scale({ stubborn: 0, frozen: 0 })
  const story = await waitFor('both ends', async () => {
    const lines = await now('limits')
    return STUBBORN.every((name) => lines.includes(exited(name, 137))) && lines
  })
  for (const name of STUBBORN)
    assert.equal(of(story, name).slice(2), [
      state(name, 'up', 'down'),
      sigterm(name),
      `heroku[${name}]: Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM`,
      `heroku[${name}]: Stopping remaining processes with SIGKILL`,
      exited(name, 137),
    ])
})

/** Whether it was up before it crashed depends on who was quicker. */
const crashed = (name: string) => new RegExp(`^heroku\\[${name}\\]: State changed from (starting|up) to crashed$`)
const untilCrash = (story: Story, name: string) => {
  const lines = of(story, name)
  const end = lines.findIndex((line) => crashed(name).test(line))
  return lines.slice(1, end).filter((line) => line !== state(name, 'starting', 'up'))
}

early('R15: a dyno that ends of its memory; R14: one that lives on; neither: one that kills itself', async () => {
  await scale({ greedy: 1, parent: 1, lasting: 1, weary: 1 })
  const R14 = 'heroku[lasting.1]: Error R14 (Memory quota exceeded)'
  const story = await waitFor('the ends, and R14', async () => {
    const lines = await now('limits')
    const ended = ['greedy.1', 'parent.1', 'weary.1'].every((name) => lines.some((line) => crashed(name).test(line)))
    if (!ended || !lines.includes(R14) || !lines.includes('app[lasting.1]: lives on'))
      throw new Error(`it is\n${lines.join('\n')}`)
    return lines
  })
  const full = (name: string) => `heroku[${name}]: Process running mem=512M(100.0%)`
  for (const [name, status] of [
    ['greedy.1', 137],
    ['parent.1', 1],
  ] as const)
    assert.equal(untilCrash(story, name), [
      full(name),
      `heroku[${name}]: Error R15 (Memory quota vastly exceeded)`,
      `heroku[${name}]: Stopping process with SIGKILL`,
      exited(name, status),
    ])
  assert.equal(untilCrash(story, 'weary.1'), [exited('weary.1', 137)])
  assert.equal(of(story, 'lasting.1').slice(2), [full('lasting.1'), R14])
  await scale({ greedy: 0, parent: 0, lasting: 0, weary: 0 })
})

early('a process that leaves another behind and ends has ended its dyno, and what it left ends with that', async () => {
  await scale({ forking: 1 })
  const story = await waitFor('the end', async () => {
    const lines = await now('limits')
    return lines.some((line) => crashed('forking.1').test(line)) && lines
  })
  assert.equal(untilCrash(story, 'forking.1'), [exited('forking.1', 0)])
  await scale({ forking: 0 })
  await waitFor('its container to be gone', async () =>
    (await platform.containers('limits')).every(({ Labels }) => Labels['sluice.type'] !== 'forking'),
  )
})

test('heroku logs and its filters: by source, dyno, process type and number', async () => {
  const all = (await now('phased')).map((line) => line.replace(/: +/, ': ').trimEnd())
  const shown = async (...args: string[]) => (await show(platform, 'phased', ...args)).map((line) => line.trimEnd())
  const starts = (text: string) => all.filter((line) => line.startsWith(text))
  assert.equal(await shown('-n', '1500'), all)
  assert.equal(await shown('-n', '1500', '--source', 'heroku'), starts('heroku['))
  assert.equal(await shown('-n', '1500', '--source', 'app'), starts('app['))
  assert.equal(
    await shown('-n', '1500', '-d', 'web.1'),
    all.filter((line) => line.includes('[web.1]:')),
  )
  assert.equal(
    await shown('-n', '1500', '-p', 'release'),
    all.filter((line) => line.includes('[release.')),
  )
  assert.equal(await shown('-n', '1500', '-d', 'build'), starts('app[build]'))
  assert.equal(await shown('-d', 'release.2', '-s', 'app'), ['app[release.2]: the tables are made'])
  assert.equal(await shown('-n', '5'), all.slice(-5))
  assert.equal(await shown('-d', 'nothing.1'), [])
})

test.run()
