import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { variables } from '../../daemon/config.ts'

/** The rules of the layout, each with its reason. A rule that is in the way is changed here, with a better reason, or obeyed. */
const root = resolve(import.meta.dirname, '..', '..', '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

const code = ['daemon', 'router', 'buildpacks', 'cli', 'test']
const files = code.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => path.endsWith('.ts') && !path.startsWith(join('test', 'apps'))),
)

interface Rule {
  /** Files below these. */
  from: string[]
  /** Files below these, or packages (`npm:name`), must not be imported... */
  never: string[]
  /** ...but for these. */
  except?: string[]
  because: string
}

const daemonFolders = [
  'account',
  'api',
  'app',
  'build',
  'git',
  'pipeline',
  'registry',
  'release',
  'route',
  'run',
  'webhook',
].map((name) => `daemon/${name}/`)
const inDaemon = (...names: string[]): string[] => names.map((name) => `daemon/${name}/`)

const rules: Rule[] = [
  {
    from: ['router/'],
    never: ['daemon/', 'cli/', 'buildpacks/', 'test/'],
    because: 'the router serves on when the daemon is down, and is installed alone on other hosts',
  },
  {
    from: ['daemon/'],
    never: ['router/', 'cli/', 'test/'],
    except: ['router/protocol.ts'],
    because: 'the protocol is all that daemon and router share',
  },
  {
    from: ['cli/'],
    never: ['daemon/', 'router/', 'test/'],
    because: 'the command speaks HTTP, as any other client',
  },
  {
    from: ['buildpacks/'],
    never: ['router/', 'cli/', 'test/', ...daemonFolders],
    because: 'images are made before there is a daemon',
  },
  {
    from: ['daemon/', 'router/', 'buildpacks/', 'cli/', 'test/'],
    never: ['npm:dockerode', 'npm:node-ssh'],
    because: 'what an engine is, is known to daemon/engine only',
  },
  {
    from: ['daemon/', 'router/', 'buildpacks/', 'cli/', 'test/'],
    never: ['npm:sqlite3'],
    because: 'there is one writer, and its transactions are immediate',
  },
  {
    from: inDaemon('acme', 'engine', 'store', 'logs'),
    never: daemonFolders,
    because: 'they are below the domain and know nothing of it',
  },
  {
    from: inDaemon('route'),
    never: inDaemon('run', 'release', 'build', 'app', 'api', 'git'),
    because: 'imports go build -> release -> run -> route; what travels back is a row plus a poke',
  },
  {
    from: inDaemon('run'),
    never: inDaemon('release', 'build', 'app', 'api', 'git'),
    because: 'imports go build -> release -> run -> route; what travels back is a row plus a poke',
  },
  {
    from: inDaemon('release'),
    never: inDaemon('build', 'app', 'api', 'git'),
    because: 'imports go build -> release -> run -> route; what travels back is a row plus a poke',
  },
  {
    from: inDaemon('webhook'),
    never: inDaemon('run', 'release', 'build', 'route', 'app', 'api', 'git'),
    because: 'all of them tell it what has happened; what the API says of a thing is handed in',
  },
  {
    from: inDaemon('build', 'account', 'app', 'release', 'route', 'run'),
    never: inDaemon('api', 'git', 'registry'),
    because: 'the front doors are on top',
  },
  {
    from: inDaemon('registry'),
    never: inDaemon('api', 'git', 'pipeline'),
    because: 'the API is on top, and no front door leads through another',
  },
  {
    from: inDaemon('account', 'app', 'build', 'git', 'release', 'route', 'run'),
    never: inDaemon('pipeline'),
    because: 'a pipeline is made of apps, which know nothing of it',
  },
  {
    from: inDaemon('account', 'app', 'build', 'git', 'pipeline', 'registry', 'release', 'route', 'run', 'webhook'),
    never: inDaemon('disk'),
    because: 'it knows what each of them keeps; they ask for room by what the daemon hands in',
  },
  {
    from: inDaemon('account', 'app', 'build', 'git', 'pipeline', 'registry', 'release', 'route', 'run', 'webhook'),
    never: inDaemon('backup'),
    because: 'it takes what each of them keeps, and they know nothing of it',
  },
  {
    from: inDaemon(
      ...[
        'account',
        'app',
        'build',
        'disk',
        'engine',
        'git',
        'logs',
        'pipeline',
        'registry',
        'release',
        'route',
        'run',
      ],
      ...['store', 'webhook'],
    ),
    never: inDaemon('watch'),
    because: 'it looks at all of them; what they count is in figures.ts',
  },
  {
    from: inDaemon('pipeline'),
    never: inDaemon('api'),
    because: 'the API is on top',
  },
]

/** Who may use the packages that the rules keep from everybody else. */
const owners: Record<string, string> = {
  'npm:dockerode': 'daemon/engine/',
  'npm:node-ssh': 'daemon/engine/',
  'npm:sqlite3': 'daemon/store/',
}

function importsOf(path: string): string[] {
  const found = read(path).matchAll(/(?:^|\n)(?:import|export)\s(?:[^;'"]*?\sfrom\s)?'([^']+)'|\bimport\('([^']+)'\)/g)
  return [...found].map(([, still, dynamic]) => {
    const name = still ?? dynamic ?? ''
    return name.startsWith('.') ? normalize(join(dirname(path), name)) : `npm:${name}`
  })
}

/** These know all parts in order to put them together. */
const composition = ['daemon/main.ts', 'daemon/assemble.ts', 'daemon/erase.ts']

const forbidden = ({ from, never, except = [] }: Rule): string[] =>
  files
    .filter((path) => from.some((folder) => path.startsWith(folder)))
    .flatMap((path) =>
      importsOf(path)
        .filter((name) => never.some((prefix) => name === prefix || (prefix.endsWith('/') && name.startsWith(prefix))))
        .filter((name) => !except.includes(name) && !path.startsWith(owners[name] ?? 'nobody/'))
        .filter(() => !composition.includes(path))
        .map((name) => `${path} imports ${name}`),
    )

for (const rule of rules)
  test(`${rule.from.join(', ')} never imports ${rule.never.join(', ')}: ${rule.because}`, () => {
    assert.equal(forbidden(rule), [])
  })

test('the scan sees the imports that are there', () => {
  assert.ok(importsOf('daemon/server.ts').includes('router/protocol.ts'))
  assert.ok(importsOf('daemon/store/driver.ts').includes('npm:sqlite3'))
  assert.ok(importsOf('test/unit/layout.test.ts').includes('daemon/config.ts'))
})

test('what makes certificates is loaded when one is made: that takes a fifth of the time of a start', () => {
  const slow = ['daemon/route/signer.ts', 'daemon/acme/request.ts', 'daemon/acme/certificate-id.ts']
  const early = files.filter((path) => path.startsWith('daemon/') && !slow.includes(path))
  const atStart = (path: string) =>
    [...read(path).matchAll(/(?:^|\n)import\s(?!type\s)[^;'"]*?'([^']+)'/g)].map(([, name = '']) => name)
  for (const path of slow) assert.ok(atStart(path).includes('@peculiar/x509'), path)
  const isSlow = (path: string, name: string) =>
    name === '@peculiar/x509' || slow.includes(normalize(join(dirname(path), name)))
  assert.equal(
    early.filter((path) => atStart(path).some((name) => isSlow(path, name))),
    [],
  )
})

test('the top level is the one of the design', () => {
  const wanted = ['package.json', 'daemon', 'buildpacks', 'router', 'cli', 'test', 'systemd', 'README.md']
  const around = ['package-lock.json', 'tsconfig.json', 'biome.json', 'LICENSE', 'node_modules', 'dist']
  const there = readdirSync(root).filter((name) => !name.startsWith('.'))
  assert.equal(there.filter((name) => !wanted.includes(name) && !around.includes(name)).sort(), [])
  assert.equal(
    wanted.filter((name) => !there.includes(name)),
    [],
  )
})

test('no file is longer than 400 lines', () => {
  assert.equal(
    files.filter((path) => read(path).split('\n').length > 400),
    [],
  )
})

test('settings are read in one place of each program', () => {
  const allowed = ['daemon/config.ts', 'router/config.ts', 'daemon/git/hook.ts']
  const readers = files.filter(
    (path) => /^(daemon|router|buildpacks)\//.test(path) && /process\.env\b/.test(read(path)),
  )
  assert.equal(
    readers.filter((path) => !allowed.includes(path)),
    [],
  )
})

test('daemon/run sees time only through the clock, so that its tests do not wait', () => {
  const direct = /\bDate\.now\b|\bnew Date\(\)|\bset(Timeout|Interval)\(|\bperformance\.now\b/
  assert.equal(
    files.filter((path) => path.startsWith('daemon/run/') && direct.test(read(path))),
    [],
  )
})

test('each table is written by the file that the schema names', () => {
  const owned = new Map<string, string>()
  for (const [, table = '', path = ''] of read('daemon/store/schema.ts').matchAll(/^ {2}(\w+): \w+ \/\/ (\S+)$/gm))
    owned.set(table, `daemon/${path}`)
  assert.ok(owned.size > 10)
  const foreign: string[] = []
  for (const path of files.filter((name) => name.startsWith('daemon/')))
    for (const [, table = ''] of read(path).matchAll(
      /\.(?:insertInto|updateTable|deleteFrom|replaceInto)\(\s*'(\w+)'/g,
    ))
      if (owned.get(table) !== path) foreign.push(`${path} writes ${table}`)
  assert.equal(foreign, [])
})

test('every setting of the daemon is in its README', () => {
  const text = read('daemon/README.md')
  assert.equal(
    Object.keys(variables).filter((name) => !text.includes(name)),
    [],
  )
})

test('every folder says what it is', () => {
  const parts = readdirSync(join(root, 'daemon'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const folders = [...code, 'systemd', ...parts.map(({ name }) => join('daemon', name))]
  assert.equal(
    folders.filter((folder) => !existsSync(join(root, folder, 'README.md'))),
    [],
  )
})

test('no committed text names a place of the machine that it was written on', () => {
  const names = new RegExp(['/wo', 'rk/(main|shared|\\.library)|/tmp/br', 'ief'].join(''))
  assert.equal(
    files.map((path) => relative('.', path)).filter((path) => names.test(read(path))),
    [],
  )
})

test('no text has the rest of a merge in it', () => {
  const below = [...code, 'systemd'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  )
  const texts = [...below, ...readdirSync(root)].filter((path) => /\.(md|ts|sh|json|service|socket)$/.test(path))
  assert.ok(texts.includes('README.md') && texts.includes(join('daemon', 'backup', 'README.md')))
  assert.equal(
    texts.filter((path) => /^(<{7}|>{7}) /m.test(read(path))),
    [],
  )
})

test.run()
