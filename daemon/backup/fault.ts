/** Why a backup cannot be read or restored: a sentence for whoever has it. */
export class BackupError extends Error {
  override readonly name = 'BackupError'
}
