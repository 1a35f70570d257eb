import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import type { Code } from '../engine/engine.ts'
import type { Schema } from '../store/schema.ts'
import { slugTree } from '../store/slug-path.ts'

type Slug = Pick<Selectable<Schema['slugs']>, 'files' | 'stack' | 'images' | 'process_types'>

/** What a process type runs on the container stack. */
export interface ProcessImage {
  /** `sha256:…` */
  id: string
  /** A shell command line; null: the image's own CMD. */
  command: string | null
}

/** By process type; null for a slug that is files. */
export const imagesOf = ({ images }: Pick<Slug, 'images'>): Record<string, ProcessImage> | null =>
  images === null ? null : JSON.parse(images)

/** What a dyno of this type and command runs, and in which image: its type's, or for a one-off of no type the one of `web`. */
export function codeOf(
  d: Pick<Daemon, 'stack' | 'config'>,
  dyno: { type: string; command: string },
  slug: Slug,
): { image: string; code: Code } {
  const images = imagesOf(slug)
  if (images === null)
    return {
      image: d.stack(slug.stack).run,
      code: { kind: 'slug', tree: slugTree(d.config, slug.files), command: dyno.command },
    }
  const type = [dyno.type, 'web', ...Object.keys(images)].find((name) => Object.hasOwn(images, name))
  const image = type === undefined ? undefined : images[type]
  if (type === undefined || image === undefined) throw new Error('there is no image to run')
  return { image: image.id, code: { kind: 'image', command: commandOf(slug, { type, image, wanted: dyno.command }) } }
}

/** What is shown of an image's own CMD, in a row or by `heroku run web`, stands for that CMD, which need not be a shell's. */
function commandOf(
  slug: Slug,
  { type, image, wanted }: { type: string; image: ProcessImage; wanted: string },
): string | null {
  const shown = JSON.parse(slug.process_types)[type]
  return image.command === null && wanted === shown ? null : wanted
}
