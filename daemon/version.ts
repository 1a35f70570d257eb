import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from './config.ts'

/** Of this Sluice, as its package says: `0.1.0`. */
export const version: string = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')).version
