import ssh2 from 'ssh2'
import { onceWritten } from '../../store/once.ts'

/** What the SSH servers of this installation show for themselves. */
export interface HostKey {
  /** OpenSSH's format. */
  private: string
  /** As in a known_hosts file: `ssh-ed25519 AAAA…`. */
  public: string
}

/** The key in `path`, made at first use. Ed25519 alone: every client that has a use for these servers takes it. */
export async function readHostKey(path: string): Promise<HostKey> {
  const text = String(await onceWritten(path, makeKey))
  const key = ssh2.utils.parseKey(text)
  if (key instanceof Error)
    throw new Error(`${path} holds no SSH key. Restore it from a backup, or remove it to have a new one made.`)
  return { private: text, public: `${key.type} ${key.getPublicSSH().toString('base64')}` }
}

/** About one in 300 that ssh2 makes cannot be read again, so each is tried before it is kept. */
function makeKey(): string {
  for (;;) {
    const text = ssh2.utils.generateKeyPairSync('ed25519').private
    if (isSound(text)) return text
  }
}

export function isSound(text: string): boolean {
  const key = ssh2.utils.parseKey(text)
  if (key instanceof Error) return false
  const signature: Buffer | Error = key.sign('any')
  return !(signature instanceof Error) && key.verify('any', signature) === true
}
