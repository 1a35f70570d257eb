import type { Platform } from './platform.ts'

/** What the last line of the answer to POST /sluice/backups says. */
export interface Told {
  backup?: { name: string; size: number }
  error?: { message: string }
}

/** Has a backup made by the API, and reads what is told of it; rejects when the answer breaks off. */
export async function askForBackup({ ports, token }: Pick<Platform, 'ports'> & { token: string }): Promise<Told> {
  const headers = {
    accept: 'application/vnd.heroku+json; version=3',
    authorization: `Bearer ${token}`,
  }
  const response = await fetch(`http://127.0.0.1:${ports.api}/sluice/backups`, { method: 'POST', headers })
  const lines = (await response.text()).trim().split('\n')
  const last = JSON.parse(lines.at(-1) ?? '')
  return response.ok ? last : { error: last }
}
