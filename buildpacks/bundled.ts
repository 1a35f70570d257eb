/** What an operator may set for a bundled buildpack; it finds the value in the file `etc/<setting>` of its own folder. */
export type Setting = 'npm-registry' | 'pip-index'

/** A buildpack that comes with Sluice: it is known by name and needs no download. */
export interface Bundled {
  name: string
  description: string
  /** Its folder below `buildpacks/`. */
  folder: string
  settings: readonly Setting[]
  /** It only helps another one, and is never tried by itself. */
  helper?: true
}

/** Those that Heroku's order does not have are tried after it, in this order. */
export const bundled: readonly Bundled[] = [
  {
    name: 'heroku/nodejs',
    description: 'Node.js with npm, yarn or pnpm',
    folder: 'nodejs',
    settings: ['npm-registry'],
  },
  {
    name: 'heroku/python',
    description: 'Python with pip, from requirements.txt or the lock file of uv, Poetry or Pipenv',
    folder: 'python',
    settings: ['pip-index'],
  },
  {
    name: 'heroku-community/inline',
    description: "Runs the app's own bin/detect, bin/compile and bin/release",
    folder: 'inline',
    settings: [],
  },
  {
    name: 'sluice/static',
    description: 'Static sites and single-page apps, served by nginx',
    folder: 'static',
    settings: [],
  },
  {
    name: 'heroku/procfile',
    description: 'Runs what the Procfile says, without a compile step',
    folder: 'procfile',
    settings: [],
  },
  {
    name: 'heroku-community/apt',
    description: "Packages of the stack's distribution, named in an Aptfile",
    folder: 'apt',
    settings: [],
    helper: true,
  },
]

/** Heroku's order: https://devcenter.heroku.com/articles/buildpacks#officially-supported-buildpacks */
const OFFICIAL = ['ruby', 'nodejs', 'clojure', 'python', 'java', 'gradle', 'scala', 'php', 'go', 'dotnet'].map(
  (name) => `heroku/${name}`,
)

/**
 * The order in which buildpacks are tried for an app that names none: Heroku's, as far as they can be had, then those of ours that fit apps
 * which nothing of Heroku's does.
 */
export const detectionOrder: readonly string[] = [
  ...OFFICIAL,
  ...bundled.flatMap(({ name, helper }) => (helper || OFFICIAL.includes(name) ? [] : name)),
]
