import { run } from '../../cli/program.ts'

/** The `sluice` command kept warm, as `session.ts` keeps the official CLI. */
process.on('message', async (argv: string[]) => {
  const code = await run(argv)
  for (const stream of [process.stdout, process.stderr]) stream.write(`\0${code}\0`)
})
process.send?.('ready')
