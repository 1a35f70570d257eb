#!/usr/bin/env node
import { demo, stopDemo } from './demo.ts'
import { disk } from './disk.ts'
import { env } from './env.ts'
import { image } from './image.ts'
import { forgetRouter, routers } from './routers.ts'
import { Failure } from './settings.ts'
import { start, stop } from './start.ts'

const HELP = `sluice: the platform on this host (apps are driven with the heroku CLI)

  sluice start          run daemon and router in the foreground
  sluice stop           end a platform that runs in the background
  sluice env            print shell exports for the heroku CLI and git
  sluice env --containers
                        the same, under which heroku container:* works too; says what /etc/hosts needs
  sluice image TYPE=HOST/NAME@sha256:... [TYPE=...] --app APP [--json]
                        release images of another registry, and wait until they serve
  sluice routers        list the routers: connected, or lost since when, and which table they follow
  sluice routers --forget ID
  sluice disk [APP]     tell what holds how much disk, by kind, or of one app
  sluice disk --apps    the same by app; --json for machines
  sluice disk --collect [--slugs] [--dry-run]
                        remove what can go: caches; with --slugs also old slugs, down to two of an app
  sluice demo           create an app, push a sample, request it
  sluice demo --stop    end the platform that the demo has started

Examples:  eval "$(sluice env)" && heroku apps
           sluice disk --collect --dry-run
`

async function main([command, ...args]: string[]): Promise<void> {
  switch (command) {
    case 'start':
      return start()
    case 'stop':
      process.stdout.write((await stop()) ? 'The platform has ended.\n' : 'The platform was not running.\n')
      return
    case 'env':
      return env(args.includes('--containers'))
    case 'image':
      process.stdout.write(await image(args))
      return
    case 'routers': {
      const [option, id] = args
      if (option !== undefined && (option !== '--forget' || id === undefined))
        throw new Failure('Usage: sluice routers [--forget ID].')
      process.stdout.write(id === undefined ? await routers() : await forgetRouter(id))
      return
    }
    case 'disk':
      process.stdout.write(await disk(args))
      return
    case 'demo':
      return args.includes('--stop') ? stopDemo() : demo()
    case undefined:
    case 'help':
    case '--help':
    case '-h':
      process.stdout.write(HELP)
      return
    default:
      throw new Failure(`There is no command "${command}". See: sluice help.`)
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`sluice: ${error instanceof Failure ? error.message : ((error as Error).stack ?? error)}\n`)
  process.exit(1)
})
