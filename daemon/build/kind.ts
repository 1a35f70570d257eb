import type { Deploy } from './deploy.ts'
import type { Result } from './result.ts'
import type { Slug } from './slug.ts'
import { makeSlug } from './slug-build.ts'

/** What a build made, which is to be released, and whether its row is there already. */
export interface Made {
  slug: Slug
  buildpacks: Result['buildpacks']
  fresh: boolean
}

/** Makes of a source what can be released, telling the output how it goes. Throws UserError for whatever is the app's affair. */
export type Maker = (deploy: Deploy) => Promise<Made>

/** How an app is built: its stack says so. */
export type Kind = 'buildpack'

export const kindOf = (_app: { stack: string }): Kind => 'buildpack'

const makers: Record<Kind, Maker> = { buildpack: makeSlug }

export const makerOf = (app: { stack: string }): Maker => makers[kindOf(app)]
