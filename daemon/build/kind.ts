import { makeImages } from './container/build.ts'
import type { Deploy } from './deploy.ts'
import { makeSlug } from './slug/build.ts'
import type { Result } from './slug/result.ts'
import type { Slug } from './slug/slug.ts'

/** What a build made, which is to be released; its slug has no row yet. */
export interface Made {
  slug: Slug
  buildpacks: Result['buildpacks']
  /** The buildpack that was found for an app that names none. */
  detected?: string | undefined
}

/** Makes of a source what can be released, telling the output how it goes. Throws UserError for whatever is the app's affair. */
export type Maker = (deploy: Deploy) => Promise<Made>

/** How an app is built: its stack says so. */
export type Kind = 'buildpack' | 'container'

export const kindOf = ({ stack }: { stack: string }): Kind => (stack === 'container' ? 'container' : 'buildpack')

const makers: Record<Kind, Maker> = { buildpack: makeSlug, container: makeImages }

export const makerOf = (app: { stack: string }): Maker => makers[kindOf(app)]
