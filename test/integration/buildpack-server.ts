import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { run } from '../../daemon/build/command.ts'
import { hostEnvironment } from '../../daemon/config.ts'

/** Buildpacks made by a test, served over HTTP as git repositories (git's own http-backend) and as archives with an ETag. */
export interface Served {
  /** Makes repository `name` with these files as its only commit, and returns its URL. */
  add(name: string, files: Record<string, string>, branch?: string): Promise<string>
  /** Runs git in the working tree of a repository, and publishes what came of it. */
  git(name: string, ...args: string[]): Promise<string>
  /** The same files as an archive, below one folder or none; `name` ends as archives of its kind do. */
  addArchive(name: string, files: Record<string, string>, options?: { flat?: boolean }): Promise<string>
  url(path: string): string
  /** Says this commit in place of those that the repository's refs are. */
  name(repository: string, commit: string): void
  /** What is answered at a path in place of a file. */
  answers: Map<string, (req: IncomingMessage, res: ServerResponse) => void>
  /** All requests, as `GET /path`, with what they were authorized by. */
  asked: { what: string; authorization: string | undefined }[]
  /** While set, every connection is broken. */
  down: boolean
  close(): Promise<void>
}

export async function serveBuildpacks(): Promise<Served> {
  const root = await mkdtemp(join(tmpdir(), 'sluice-packs-'))
  const lies = new Map<string, string>()
  const asked: Served['asked'] = []
  const answers: Served['answers'] = new Map()
  const server = createServer((req, res) => {
    if (served.down) return void req.socket.destroy()
    const [path = '', query = ''] = (req.url ?? '').split('?')
    asked.push({ what: `${req.method} ${path}`, authorization: req.headers.authorization })
    const answer = answers.get(path)
    if (answer) return answer(req, res)
    if (!path.includes('.git/')) {
      readFile(join(root, path)).then(
        (body) => {
          const etag = `"${createHash('sha256').update(body).digest('hex')}"`
          if (req.headers['if-none-match'] === etag) res.writeHead(304).end()
          else res.writeHead(200, { etag }).end(body)
        },
        () => res.writeHead(404).end(),
      )
      return
    }
    const git = spawn('git', ['http-backend'], {
      env: {
        ...hostEnvironment(),
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: path,
        QUERY_STRING: query,
        REQUEST_METHOD: req.method ?? 'GET',
        CONTENT_TYPE: req.headers['content-type'] ?? '',
        GIT_PROTOCOL: String(req.headers['git-protocol'] ?? ''),
        HTTP_CONTENT_ENCODING: String(req.headers['content-encoding'] ?? ''),
      },
    })
    req.pipe(git.stdin)
    git.stdin.on('error', () => {})
    const chunks: Buffer[] = []
    git.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    git.stdout.on('end', () => {
      const lie = lies.get(path)
      const said = Buffer.concat(chunks)
      const answer =
        lie === undefined ? said : Buffer.from(said.toString('latin1').replace(/[0-9a-f]{40}(?= )/g, lie), 'latin1')
      const end = answer.indexOf('\r\n\r\n')
      const headers = answer
        .subarray(0, end)
        .toString()
        .split('\r\n')
        .map((line) => line.split(/: (.*)/) as [string, string])
      const status = headers.find(([name]) => name === 'Status')?.[1] ?? '200'
      for (const [name, value] of headers) if (name !== 'Status' && value) res.setHeader(name, value)
      res.writeHead(Number.parseInt(status, 10)).end(answer.subarray(end + 4))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`
  const served: Served = {
    ...{ url, answers, asked, down: false },
    name: (repository, commit) => void lies.set(`/${repository}/info/refs`, commit),
    async add(name, files, branch = 'main') {
      const work = join(root, `${name}.work`)
      await write(work, files)
      const git = (...args: string[]) =>
        run('git', ['-C', work, '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args])
      await git('init', '--quiet', '-b', branch)
      await git('add', '-A')
      await git('commit', '--quiet', '-m', 'buildpack')
      await run('git', ['clone', '--quiet', '--mirror', work, join(root, `${name}.git`)])
      return url(`${name}.git`)
    },
    async git(name, ...args) {
      const as = ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'protocol.file.allow=always']
      const said = await run('git', ['-C', join(root, `${name}.work`), ...as, ...args])
      await run('git', ['-C', join(root, `${name}.git`), 'fetch', '--quiet', '--prune'])
      return said.trim()
    },
    async addArchive(name, files, { flat = false } = {}) {
      const work = join(root, `${name}.work`)
      const archive = join(root, name)
      await rm(work, { recursive: true, force: true })
      await write(join(work, 'wrapped'), files)
      const from = flat ? ['-C', join(work, 'wrapped'), '.'] : ['-C', work, 'wrapped']
      const kind = /zst$/.test(name) ? '--zstd' : '--auto-compress'
      await mkdir(dirname(archive), { recursive: true })
      await run('tar', [kind, '-cf', `${archive}`, ...from])
      return url(name)
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await rm(root, { recursive: true, force: true })
    },
  }
  return served
}

async function write(folder: string, files: Record<string, string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
    // Executable bits get lost on the way of many buildpacks; the compile script sets them.
    await chmod(join(folder, name), 0o644)
  }
}
