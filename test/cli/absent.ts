/** Commands of the official CLI that no test runs, by reason; `topic:*` is the topic and all below it that are not named elsewhere. */
export const absent: Record<string, string[]> = {
  'there is no second factor yet, so there is none to disable': ['auth:2fa:disable'],
  'add-ons come later': ['addons:*', 'usage:*'],
  'an add-on of Heroku’s, with an API of its own': ['pg:*', 'data:*', 'redis:*'],
  'one machine: there are no private spaces': ['spaces:*'],
  'tells of test runs, which only `ci:run` makes': ['ci', 'ci:info', 'ci:last'],
  'asks Heroku’s GitHub service, whose address is fixed in the CLI': ['ci:debug', 'ci:rerun', 'ci:run'],
  'asks Heroku’s GitHub service and GitHub itself, whose addresses are fixed in the CLI': [
    'pipelines:connect',
    'pipelines:diff',
    'pipelines:setup',
  ],
  'asks a host of Heroku’s that is fixed in the CLI': [
    'apps:errors',
    'apps:favorites:*',
    'dashboard',
    'notifications',
    'ps:autoscale:*',
  ],
  'Fir only: apps here are of the Cedar generation': ['telemetry:*'],
  'opens a page of Heroku’s dashboard': ['ci:open', 'orgs:open', 'pipelines:open'],
  'on the client alone: it asks no platform': ['mcp:*', 'repl'],
  'keeps logins of api.heroku.com, a host that is fixed in the CLI': ['accounts:*'],
}
