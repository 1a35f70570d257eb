import { changeConfig } from '../release/config.ts'
import type { Metadata } from './buildpack/metadata.ts'
import type { Deploy } from './deploy.ts'

type Wanted = Pick<Metadata, 'configVars' | 'addons'>

/**
 * What a buildpack, or heroku.yml, wants of an app that has never been deployed, as Heroku gives it: config vars, as far as they are not
 * set, in a release of their own. Add-ons are only told of. Throws UserError for config vars that cannot be.
 */
export async function settle({ d, request, output }: Deploy, { configVars, addons }: Wanted): Promise<void> {
  const { app, account } = request
  if (Object.keys(configVars).length + addons.length === 0 || (await wasDeployed(d.db, app.id))) return
  if (addons.length > 0)
    output.problem(`The following add-ons were not provisioned, there are none here: ${addons.join(', ')}.`)
  await changeConfig(d, app, account, (before) => absent(configVars, before))
}

const absent = (wanted: Record<string, string>, before: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(wanted).filter(([name]) => !Object.hasOwn(before, name)))

async function wasDeployed(db: Deploy['d']['db'], app: string): Promise<boolean> {
  const coded = db.selectFrom('releases').select('id').where('app_id', '=', app).where('slug_id', 'is not', null)
  return (await coded.limit(1).executeTakeFirst()) !== undefined
}
