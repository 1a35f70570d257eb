import { resolve } from 'node:path'
import { runOnHost } from './host-program.ts'
import type { Program } from './program.ts'
import { examples } from './usage.ts'

export function register(program: Program): void {
  program
    .command('restore')
    .description(
      'restore a backup into this host’s empty data folder\nReads SLUICE_DATA and SLUICE_ENGINE, as the daemon does. Nothing is restored unless all of it is.',
    )
    .argument('<file>', 'a backup')
    .option('--passphrase-file <path>', 'file with the passphrase that it is encrypted with')
    .option('--json', 'output in json format')
    .addHelpText(...examples('$ sluice restore sluice-20261128T031500Z.tar.zst', '$ npm start'))
    .action((file, choice) => runOnHost('backup/main.js', ['restore', ...backupArguments(file, choice)]))
}

/** What the program of the daemon is told of a file. */
export const backupArguments = (file: string, choice: { passphraseFile?: string; json?: true }): string[] => [
  ...(choice.json ? ['--json'] : []),
  ...(choice.passphraseFile === undefined ? [] : ['--passphrase-file', resolve(choice.passphraseFile)]),
  ...['--', resolve(file)],
]
