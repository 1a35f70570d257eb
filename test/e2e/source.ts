import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { server } from './server.ts'

/** Process types by name. Settings of the sample server go before the command: `BOOT_DELAY=20 perl server.pl`. */
export type Procfile = Record<string, string>

export const web = 'perl server.pl'

/** A working copy with the sample app in it. */
export interface Source {
  dir: string
  /** Writes files, commits, and returns the commit's id. */
  commit(files: Record<string, string>): Promise<string>
  /** The next version of the app, with another Procfile if given. */
  version(name: string, procfile?: Procfile): Promise<string>
  head(): Promise<string>
  remove(): Promise<void>
}

type Git = (dir: string, ...args: string[]) => Promise<{ code: number | null; output: string; stdout: string }>

export async function createSource(git: Git, files: Record<string, string>): Promise<Source> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-source-'))
  const must = async (...args: string[]) => {
    const { code, output, stdout } = await git(dir, ...args)
    if (code !== 0) throw new Error(`git ${args.join(' ')}: ${output}`)
    return stdout.trim()
  }
  const commit = async (changed: Record<string, string>) => {
    for (const [path, text] of Object.entries(changed)) {
      await mkdir(dirname(join(dir, path)), { recursive: true })
      await writeFile(join(dir, path), text)
    }
    await must('add', '--all')
    await must('commit', '--quiet', '--allow-empty', '--message', Object.keys(changed).join(' ') || 'nothing')
    return must('rev-parse', 'HEAD')
  }
  await must('init', '--quiet', '--initial-branch', 'main')
  await commit(files)
  return {
    dir,
    commit,
    version: (name, procfile) =>
      commit({ version: `${name}\n`, ...(procfile ? { Procfile: formatProcfile(procfile) } : {}) }),
    head: () => must('rev-parse', 'HEAD'),
    remove: () => rm(dir, { recursive: true, force: true }),
  }
}

/** The sample app in its first version. */
export const sampleFiles = (procfile: Procfile = { web }): Record<string, string> => ({
  Procfile: formatProcfile(procfile),
  'server.pl': server,
  version: 'v1\n',
})

const formatProcfile = (procfile: Procfile): string =>
  Object.entries(procfile)
    .map(([type, command]) => `${type}: ${command}\n`)
    .join('')
