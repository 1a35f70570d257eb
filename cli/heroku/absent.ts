/** Commands of the official CLI that are not here: `pg:*` is the topic and all below it. What is said when somebody wants one. */
export const absences: { commands: string[]; why: string }[] = [
  {
    commands: ['addons:*', 'usage:*'],
    why: 'There are no add-ons on this platform. Run a database elsewhere, and give the app its URL: sluice config:set.',
  },
  {
    commands: ['pg:*', 'psql', 'data:*'],
    why: 'There are no databases on this platform. Run one elsewhere, and give the app its URL: sluice config:set DATABASE_URL=...',
  },
  {
    commands: ['redis:*'],
    why: 'There is no Redis on this platform. Run one elsewhere, and give the app its URL: sluice config:set REDIS_URL=...',
  },
  {
    commands: ['spaces:*', 'drains:get', 'drains:set'],
    why: 'There are no private spaces on this platform: it is private as a whole.',
  },
  {
    commands: ['ci', 'ci:debug', 'ci:info', 'ci:last', 'ci:migrate-manifest', 'ci:open', 'ci:rerun', 'ci:run'],
    why: 'There is no CI on this platform. Have your own push with git, or promote through a pipeline: sluice help pipelines.',
  },
  {
    commands: ['container:*'],
    why: 'Docker does it: docker login -u _ HOST with the password of sluice auth:token, docker push HOST/APP/TYPE, then sluice image TYPE=sha256:DIGEST. Or the heroku CLI: eval "$(sluice env --containers)", then heroku container:push.',
  },
  {
    commands: ['pipelines:connect'],
    why: 'Nothing has to be connected: the repository of a pipeline is that of its staging, development or production app on this platform. Push to it, then sluice reviewapps:create.',
  },
  {
    commands: ['pipelines:setup'],
    why: 'It sets apps up from a repository on GitHub, which this platform does not ask. Use sluice create, git push, and sluice pipelines:create.',
  },
  {
    commands: ['pipelines:open', 'orgs:open', 'dashboard', 'apps:favorites:*', 'notifications'],
    why: 'There is no dashboard of this platform in a browser. See: sluice status, sluice pipelines:info, sluice apps:info.',
  },
  {
    commands: ['apps:errors'],
    why: "Errors are not counted by app and hour here. See sluice logs, and the platform's /metrics.",
  },
  {
    commands: ['ps:autoscale:*'],
    why: 'Apps do not scale by themselves on this platform. Use sluice ps:scale.',
  },
  {
    commands: ['telemetry:*'],
    why: 'There is no telemetry of apps on this platform, which Heroku has for those of the Fir generation. Logs go out by sluice drains:add.',
  },
  {
    commands: ['auth:2fa:disable', '2fa:disable', 'twofactor:disable'],
    why: 'There is no second factor on this platform, so there is none to disable.',
  },
  {
    commands: ['accounts:*'],
    why: 'A login is to one platform, and the last one is the one in use. Another: sluice login URL, or SLUICE_API_URL=URL for one command.',
  },
  {
    commands: ['autocomplete:create', 'autocomplete:doctor', 'autocomplete:options', 'autocomplete:script'],
    why: 'Completion keeps no files that these would be for. See: sluice completion --help.',
  },
  {
    commands: ['local:*'],
    why: 'It runs a Procfile on this machine and asks no platform. A program that does: foreman, honcho, or heroku local.',
  },
  {
    commands: ['console', 'rake'],
    why: 'Use sluice run: sluice run console, sluice run rake.',
  },
  {
    commands: ['mcp:*', 'repl'],
    why: 'It asks no platform, and is of the heroku CLI alone. Every command here takes --json.',
  },
  {
    commands: ['version:info'],
    why: 'It tells the changes of the heroku CLI. Those of sluice are in its repository; which one this is: sluice version.',
  },
]

/** Of the words that begin a line, `least` of which at least are a name. A name comes before the topic that it is in. */
export function whyAbsent(words: string[], least = 1): string | undefined {
  const names = [1, 2, 3, 4].filter((count) => count >= least).map((count) => words.slice(0, count).join(':'))
  const exact = absences.find(({ commands }) => commands.some((command) => names.includes(command)))
  return (exact ?? absences.find(({ commands }) => commands.some((command) => names.some(within(command)))))?.why
}

const within =
  (pattern: string) =>
  (name: string): boolean => {
    const topic = pattern.replace(/:\*$/, '')
    return pattern.endsWith(':*') && (name === topic || name.startsWith(`${topic}:`))
  }
