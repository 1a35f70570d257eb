import type { Daemon } from '../daemon.ts'
import type { Terminal } from '../engine/engine.ts'
import { invalid, notFound } from '../errors.ts'
import { type Command, checkCommand, expand } from './command.ts'
import { commandsOf } from './desired.ts'
import { type DynoView, listDynos } from './dyno.ts'
import type { Meeting } from './rendezvous.ts'

/** A process inside a dyno that is there already (`heroku run:inside`). `terminal` is undefined when the client says it later. */
export async function runInside(
  d: Daemon,
  app: { id: string },
  wish: Command & { dyno: string; terminal: Terminal | undefined },
): Promise<{ dyno: DynoView; meeting: Meeting }> {
  checkCommand(wish)
  const dyno = (await listDynos(d.db, app.id)).find(({ id, name }) => id === wish.dyno || name === wish.dyno)
  if (!dyno) throw notFound('dyno', 'dyno')
  if (dyno.state !== 'up')
    throw invalid(`${dyno.name} is ${dyno.state}; commands run inside dynos that are up. See \`heroku ps\`.`)
  const command = expand(wish.command, await commandsOf(d.db, dyno.release.id))
  const meeting: Meeting = {
    app: app.id,
    dyno: dyno.name,
    terminal: wish.terminal,
    open: (terminal) => d.exec(dyno, { command, env: environmentOf(wish.env), terminal }),
    missed() {},
  }
  return { dyno, meeting }
}

const environmentOf = (env: Record<string, string>): string[] =>
  Object.entries(env).map(([name, value]) => `${name}=${value}`)
