import { randomInt } from 'node:crypto'
import { invalid } from '../errors.ts'

/** At most 30 characters, so that a name never looks like a UUID: an app is found by either. */
const NAME = /^[a-z][a-z0-9-]{1,28}[a-z0-9]$/

/** Heroku's rule for app names; they are also host names below the platform's domain. */
export function parseName(name: string): string {
  if (!NAME.test(name))
    throw invalid(
      'Name must start with a letter, end with a letter or digit and can only contain lowercase letters, digits, and dashes. ' +
        'It must be 3 to 30 characters long.',
    )
  return name
}

/** A name nobody has chosen: adjective, noun and five digits. */
export const generateName = (): string =>
  `${pick(adjectives)}-${pick(nouns)}-${String(randomInt(100_000)).padStart(5, '0')}`

const pick = (words: readonly string[]): string => words[randomInt(words.length)] ?? ''

const adjectives = [
  ...[
    'amber',
    'ancient',
    'azure',
    'brave',
    'bright',
    'broad',
    'calm',
    'clear',
    'cold',
    'cool',
    'crisp',
    'deep',
    'dry',
    'early',
  ],
  ...[
    'even',
    'fair',
    'fast',
    'fresh',
    'frosty',
    'full',
    'gentle',
    'glad',
    'golden',
    'grand',
    'green',
    'high',
    'kind',
    'late',
  ],
  ...[
    'level',
    'light',
    'lively',
    'long',
    'lucid',
    'merry',
    'mild',
    'misty',
    'nimble',
    'noble',
    'open',
    'pale',
    'patient',
    'plain',
  ],
  ...[
    'polar',
    'proud',
    'quick',
    'quiet',
    'rapid',
    'round',
    'serene',
    'sharp',
    'silver',
    'smooth',
    'steady',
    'still',
    'swift',
    'warm',
  ],
] as const

const nouns = [
  ...[
    'bank',
    'basin',
    'bay',
    'beck',
    'bend',
    'bight',
    'bluff',
    'bridge',
    'brook',
    'burn',
    'canal',
    'cape',
    'cascade',
    'channel',
  ],
  ...[
    'cliff',
    'coast',
    'cove',
    'creek',
    'current',
    'dam',
    'delta',
    'dike',
    'eddy',
    'estuary',
    'fall',
    'fjord',
    'flume',
    'ford',
  ],
  ...[
    'gate',
    'gorge',
    'harbor',
    'inlet',
    'isle',
    'lagoon',
    'lake',
    'lock',
    'marsh',
    'meadow',
    'mill',
    'pier',
    'pond',
    'pool',
  ],
  ...[
    'rapids',
    'reach',
    'reef',
    'ridge',
    'river',
    'shore',
    'sound',
    'spring',
    'strait',
    'stream',
    'tide',
    'valley',
    'weir',
    'well',
  ],
] as const
