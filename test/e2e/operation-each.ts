import type { Failpoint } from '../../daemon/failpoint.ts'
import type { Operation } from './operation.ts'
import { destruction } from './operation-app.ts'
import { changes } from './operation-change.ts'
import { pushed } from './operation-push.ts'
import type { Platform } from './platform.ts'

/** One thing that is done to a running app, and a step without which it was not done. */
export interface Performed {
  name: string
  operation: Operation
  step: Failpoint
  /** It scales, and does the opposite the next time, by other steps. */
  opposite?: true
  /** By name, an operation before it, whose steps it takes as well, and is not struck at again. */
  goesOnAs?: string
}

/** All that brings dynos up and down: what is struck at each of its steps. Makes the app, with two releases to roll back and forth between. */
export async function eachOperation(platform: Platform, app: string): Promise<Performed[]> {
  const source = await platform.deploy(app)
  for (const COLOUR of ['red', 'blue']) {
    await platform.api('PATCH', `/apps/${app}/config-vars`, { COLOUR })
    await platform.settled(app, (await platform.releases(app)).length)
  }
  const { push } = pushed(platform, app, source)
  const { config, scale, restart, rollback } = changes(platform, app)
  return [
    { name: 'a config change', operation: config, step: 'config.released' },
    { name: 'a push', operation: push, step: 'build.created', goesOnAs: 'a config change' },
    { name: 'a scaling', operation: scale, step: 'formation.scaled', opposite: true },
    { name: 'a restart', operation: restart, step: 'dynos.marked' },
    { name: 'a rollback', operation: rollback, step: 'rollback.released' },
    { name: 'a destruction', operation: destruction(platform, source), step: 'erase.rows' },
  ]
}
