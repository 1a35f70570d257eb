import { bundled } from '../../buildpacks/bundled.ts'
import type { Account } from '../account/account.ts'
import { tell } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { type DbOrTx, decide } from '../store/database.ts'
import type { App } from './app.ts'

/** A buildpack that an app's next build uses, in order: a URL, or the name of a bundled one. */
export interface Installation {
  ordinal: number
  url: string
}

const MOST = 20

/** None means that the build detects it. */
export const listInstallations = (db: DbOrTx, app: string): Promise<Installation[]> =>
  db
    .selectFrom('buildpack_installations')
    .select(['ordinal', 'url'])
    .where('app_id', '=', app)
    .orderBy('ordinal')
    .execute()

/** Replaces the whole list, as one decision. Throws UserError for what is neither a URL nor bundled, and for doubles. */
export async function replaceInstallations(
  d: Daemon,
  app: App,
  account: Account,
  names: readonly string[],
): Promise<Installation[]> {
  const urls = parseBuildpacks(names)
  const installations = urls.map((url, ordinal) => ({ ordinal, url }))
  await decide(d.db, async (tx) => {
    await tx.deleteFrom('buildpack_installations').where('app_id', '=', app.id).execute()
    if (urls.length > 0)
      await tx
        .insertInto('buildpack_installations')
        .values(installations.map((one) => ({ ...one, app_id: app.id })))
        .execute()
  })
  await tell(
    d,
    app,
    account,
    urls.length > 0 ? `Set buildpacks ${urls.map(publicUrl).join(', ')}` : 'Cleared buildpacks',
  )
  return installations
}

/** A list as a client sends it; throws UserError as `parseBuildpack` does, and for doubles. */
export function parseBuildpacks(names: readonly string[]): string[] {
  if (names.length > MOST) throw invalid(`An app may have ${MOST} buildpacks, not ${names.length}.`)
  const urls = names.map(parseBuildpack)
  const double = urls.find((url, index) => urls.indexOf(url) !== index)
  if (double !== undefined) throw invalid(`The buildpack ${publicUrl(double)} is listed twice.`)
  return urls
}

/** The registry's archive of a named buildpack, which clients may send in place of the name. */
const ARCHIVE =
  /^https:\/\/(?:buildpack-registry|codon-buildpacks)\.s3\.amazonaws\.com\/buildpacks\/([\w-]+\/[\w-]+)\.tgz$/
const NAMED = /^[\w-]+\/[\w-]+$/
const SCHEMES = ['https:', 'http:']
const NO_SCHEMES = ['git:', 'ssh:']

/** A URL as it is, or the name of a bundled buildpack; `urn:buildpack:NAME` and the registry's own URL mean the name. */
export function parseBuildpack(text: string): string {
  const name = ARCHIVE.exec(text)?.[1] ?? text.replace(/^urn:buildpack:/, '')
  if (NAMED.test(name)) {
    if (!bundled.some((one) => one.name === name)) throw invalid(unknown(name))
    return name
  }
  const scheme = URL.canParse(text) ? new URL(text).protocol : ''
  if (NO_SCHEMES.includes(scheme)) throw invalid('A buildpack is fetched by https:// or http:// only. Give such a URL.')
  if (!SCHEMES.includes(scheme) || text.length > 2000)
    throw invalid(`"${text.slice(0, 200)}" is neither the URL of a buildpack nor the name of one.`)
  if (!hasPlainPassword(new URL(text)))
    throw invalid('The user or password in the URL of the buildpack has a % that is not followed by two hex digits.')
  return text
}

function hasPlainPassword({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password)
    return true
  } catch {
    return false
  }
}

const unknown = (name: string): string =>
  `There is no buildpack ${name} here. Give the URL of its git repository or archive, or one of: ${bundled.map((one) => one.name).join(', ')}.`

/** Without the user and password that a git URL may carry. */
function publicUrl(url: string): string {
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  parsed.username = ''
  parsed.password = ''
  return parsed.href
}
