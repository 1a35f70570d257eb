import ssh2 from 'ssh2'

/**
 * An Ed25519 key of a person's, as `ssh-keygen` writes its two files. Those of ssh2 that would begin with a zero byte, one in 256, lack it
 * and are no keys: each is tried before it is taken.
 */
export function makeSshKey(comment = ''): { public: string; private: string } {
  for (;;) {
    const made = ssh2.utils.generateKeyPairSync('ed25519', { comment })
    if (!(ssh2.utils.parseKey(made.public) instanceof Error)) return made
  }
}
