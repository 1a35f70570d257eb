#!/usr/bin/env node
import { complain } from './output.ts'
import { run } from './program.ts'

// who reads has had enough, as in `sluice logs | head`
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

try {
  process.exitCode = await run(process.argv.slice(2))
} catch (error) {
  // what nobody expected, such as a disk that is full
  complain(error instanceof Error ? error.message : String(error))
  if (process.env.DEBUG) console.error(error)
  process.exitCode = 1
}
