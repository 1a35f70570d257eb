import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { askForBackup } from './backup-client.ts'
import { done, type Operation, refused } from './operation.ts'
import type { Platform } from './platform.ts'

/** A backup is made, and kept. */
export function backUp(platform: Platform): Operation {
  const names = async () =>
    (await platform.api<{ backups: { name: string }[] }>('GET', '/sluice/backups')).backups.map(({ name }) => name)
  let before: string[] = []
  return {
    async perform() {
      before = await names()
      const token = (await readFile(join(platform.data, 'admin.token'), 'utf8')).trim()
      const told = await askForBackup({ ...platform, token }).catch(() => undefined)
      return told?.backup ? done : refused(told?.error?.message ?? '')
    },
    inEffect: async () => (await names()).some((name) => !before.includes(name)),
  }
}
