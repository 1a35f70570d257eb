import { request } from 'node:http'
import { basename } from 'node:path'

/**
 * The `pre-receive` hook. Git has put the new objects in quarantine, where they stay until it ends. It tells the daemon's socket which
 * commit is pushed and where that is; what comes back is printed, which git shows after `remote:`. The push is accepted exactly when the
 * deploy was: exit 0.
 */
const DEPLOYED = ['refs/heads/main', 'refs/heads/master']
const GONE = /^0+$/

interface Update {
  /** Where the client saw the branch; zeros for a new one. */
  old: string
  commit: string
  ref: string
}

async function main(): Promise<number> {
  const updates = parse(await readAll(process.stdin))
  const deployed = updates.filter(({ ref }) => DEPLOYED.includes(ref))
  if (deployed.some(({ commit }) => GONE.test(commit))) return refuse('The branch that is deployed cannot be deleted.')
  const [update, second] = deployed
  const below = updates.find(({ ref }) => DEPLOYED.some((name) => ref.startsWith(`${name}/`)))
  if (below)
    return refuse(`${below.ref.slice(11)} would be in the way of the branch that is deployed. Call it something else.`)
  if (second) return refuse('Push either main or master, not both at once.')
  const others = updates.filter(
    ({ ref, commit }) => ref.startsWith('refs/heads/') && !DEPLOYED.includes(ref) && !GONE.test(commit),
  )
  if (!update && others.length > 0)
    process.stdout.write('Pushed to branch other than [main, master], skipping build.\n')
  return update ? deploy(update) : 0
}

function refuse(why: string): number {
  process.stdout.write(`\n !     ${why}\n\n`)
  return 1
}

const parse = (input: string): Update[] =>
  input
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [old = '', commit = '', ref = ''] = line.split(' ')
      return { old, commit, ref }
    })

function deploy({ old, commit, ref }: Update): Promise<number> {
  return new Promise((resolve) => {
    const call = request({
      socketPath: process.env.SLUICE_SOCKET,
      method: 'POST',
      path: '/deploy',
      headers: {
        'x-sluice-push': process.env.SLUICE_PUSH ?? '',
        'x-sluice-ref': ref,
        'x-sluice-old': old,
        'x-sluice-commit': commit,
        'x-sluice-quarantine': basename(process.env.GIT_QUARANTINE_PATH ?? ''),
      },
    })
    const lost = () => resolve(refuse('The platform went away during this deploy. Push again when it is back.'))
    call.on('error', lost)
    call.on('response', (response) => {
      response.on('data', (chunk: Buffer) => process.stdout.write(chunk))
      response.on('error', lost)
      response.on('end', () => resolve(response.trailers['x-sluice-exit'] === '0' ? 0 : 1))
    })
    call.end()
  })
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}

main().then((code) => {
  process.exitCode = code
})
