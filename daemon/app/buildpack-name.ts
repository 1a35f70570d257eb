import { invalid } from '../errors.ts'

/** How many buildpacks an app may have. */
const MOST = 20

/**
 * The archive of a named buildpack where Heroku keeps it, which clients may send in place of the name.
 * https://devcenter.heroku.com/articles/buildpack-registry
 */
const ARCHIVE =
  /^https:\/\/(?:buildpack-registry|codon-buildpacks)\.s3(?:\.dualstack)?(?:[.-][a-z]+-[a-z]+-\d)?\.amazonaws\.com\/buildpacks\/([^/]+\/[^/]+)\.tgz$/
const NAMED = /^[a-z0-9_][\w-]{0,99}\/[a-z0-9][\w-]{0,99}$/i
const URN = 'urn:buildpack:'
const SCHEMES = ['https:', 'http:']
const NO_SCHEMES = ['git:', 'ssh:']
const LONGEST = 2000

/** `heroku/nodejs`; anything else that `parseBuildpack` returns is a URL. */
export const isName = (buildpack: string): boolean => NAMED.test(buildpack)

/** A name as the API writes it. */
export const urnOf = (name: string): string => `${URN}${name}`

/**
 * A URL as it is, or a name: `heroku/nodejs`, `urn:buildpack:heroku/nodejs`, or the URL of the registry's archive of it. Whether there is
 * such a buildpack is not asked. Throws UserError, without the text where it may hold a password.
 */
export function parseBuildpack(text: string): string {
  const name = ARCHIVE.exec(text)?.[1] ?? (text.startsWith(URN) ? text.slice(URN.length) : text)
  if (NAMED.test(name)) return name
  const scheme = URL.canParse(text) ? new URL(text).protocol : ''
  if (NO_SCHEMES.includes(scheme) || /^[\w.-]+@[\w.-]+:/.test(text))
    throw invalid('A buildpack is fetched by https:// or http:// only. Give such a URL.')
  if (!SCHEMES.includes(scheme) || text.length > LONGEST || /\s/.test(text))
    throw invalid(
      `"${text.slice(0, 200)}" is neither the URL of a buildpack nor the name of one, such as heroku/nodejs.`,
    )
  if (!hasPlainPassword(new URL(text)))
    throw invalid('The user or password in the URL of the buildpack has a % that is not followed by two hex digits.')
  return text
}

/** A list as a client sends it; throws UserError as `parseBuildpack` does, and for doubles. */
export function parseBuildpacks(names: readonly string[]): string[] {
  if (names.length > MOST) throw invalid(`An app may have ${MOST} buildpacks, not ${names.length}.`)
  const buildpacks = names.map(parseBuildpack)
  const double = buildpacks.find((one, index) => buildpacks.indexOf(one) !== index)
  if (double !== undefined) throw invalid(`The buildpack ${publicBuildpack(double)} is listed twice.`)
  return buildpacks
}

function hasPlainPassword({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password)
    return true
  } catch {
    return false
  }
}

/** As everybody may see it: the user, password and query of a URL may be secrets. */
export function publicBuildpack(buildpack: string): string {
  if (!URL.canParse(buildpack)) return buildpack
  const url = new URL(buildpack)
  return hasSecrets(buildpack) ? `${url.origin}${url.pathname}${url.hash}` : buildpack
}

/** Whether it is stored sealed. */
export function hasSecrets(buildpack: string): boolean {
  if (!URL.canParse(buildpack)) return false
  const { username, password, search } = new URL(buildpack)
  return username !== '' || password !== '' || search !== ''
}
