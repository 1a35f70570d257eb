import { adminToken, apiUrl, settings } from './settings.ts'

/** The platform that a command speaks to, and who speaks. */
export interface Platform {
  /** Of the API, without a slash at its end. */
  url: string
  token: string
  /** Host, and port where it is not 443, of its git remotes' https URLs. */
  git: string
}

/**
 * What the environment names (`SLUICE_API_URL` with `SLUICE_API_KEY`); else the platform of this host, with its operator's token.
 */
export async function platform(): Promise<Platform> {
  const { SLUICE_API_URL: url, SLUICE_API_KEY: token } = process.env
  if (url && token) return { url: url.replace(/\/+$/, ''), token, git: new URL(url).host }
  return { url: apiUrl, token: await adminToken(), git: `localhost:${settings.apiPort}` }
}
