/** What an operator may set for a bundled buildpack; it finds the value in the file `etc/<setting>` of its own folder. */
export type Setting = 'npm-registry'

/** A buildpack that comes with Sluice: it is known by name and needs no download. */
export interface Bundled {
  name: string
  description: string
  /** Its folder below `buildpacks/`. */
  folder: string
  settings: readonly Setting[]
}

/** In the order in which they are tried for an app that names none. */
export const bundled: readonly Bundled[] = [
  {
    name: 'heroku/nodejs',
    description: 'Node.js with npm, yarn or pnpm',
    folder: 'nodejs',
    settings: ['npm-registry'],
  },
  {
    name: 'heroku/procfile',
    description: 'Runs what the Procfile says, without a compile step',
    folder: 'procfile',
    settings: [],
  },
]
