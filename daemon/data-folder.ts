import { chmod, mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Its group may pass through: a router of this machine, under a user of its own (`systemd/sluice.tmpfiles`). */
const PASSABLE = 0o710
const CLOSED = 0o700

/** Makes the folder, and closes it to others; the group keeps its way through. */
export async function openDataFolder(data: string): Promise<void> {
  await mkdir(data, { recursive: true, mode: CLOSED })
  await chmod(data, (await isPassable(data)) ? PASSABLE : CLOSED)
}

/** What a router of this machine reads, and nothing else: its token, the one for metrics, and the platform's certificate, in a folder whose group may pass. */
export async function shareWithRouter(data: string): Promise<void> {
  if (!(await isPassable(data))) return
  await chmod(join(data, 'tls'), PASSABLE)
  for (const name of ['router.token', 'metrics.token', 'tls/key.pem', 'tls/cert.pem'])
    await chmod(join(data, name), 0o640)
}

const isPassable = async (data: string): Promise<boolean> => ((await stat(data)).mode & 0o070) === 0o010
