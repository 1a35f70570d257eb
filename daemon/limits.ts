import { acmeLimits } from './limits-acme.ts'

/** Every bound of the control plane, in one place. Times are milliseconds, sizes bytes. */

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB
const SECOND = 1000
const MINUTE = 60 * SECOND
const DAY = 24 * 60 * MINUTE

/** Heroku's figures: https://devcenter.heroku.com/articles/limits */
export const limits = {
  /** R10: a web dyno must accept connections on $PORT this long after its start. */
  boot: 60 * SECOND,
  /** To which an app may raise that: https://devcenter.heroku.com/articles/error-codes#r10-boot-timeout */
  longestBoot: 180 * SECOND,
  /** R12: from SIGTERM to SIGKILL. */
  stopGrace: 30 * SECOND,
  /** A start that goes on says so this often, and is ended by systemd when it takes longer than the other. */
  startSign: 10 * SECOND,
  longestStart: 15 * MINUTE,
  /** What is asked for a sign of life has so long to answer. */
  vitalAnswer: 10 * SECOND,
  /** How long an old backend may finish its requests after a cutover, when its app gives its WebSockets no longer (route/grace.ts). */
  drain: 30 * SECOND,
  /** And how long tunnels take from the end of their grace to their end: the router's bounds for it, and a bit. */
  drainEnd: 15 * SECOND,
  /** Dynos of which it is remembered how they drained; more than there are. */
  receiptsHeld: 100_000,
  /** Memory that is promised to nobody. */
  memoryReserve: 256 * MiB,
  /** A dyno that has been up so long is not expected to grow any more. */
  memorySettled: MINUTE,
  /** Dynos that are measured at once, the largest, and how often at most. */
  memoryMeasured: 50,
  memoryMeasuredEvery: 2 * SECOND,
  /** How often what waits for memory is looked at without anybody having given some back. */
  memoryLook: 10 * SECOND,
  /** How long a release waits for memory that others may give back, before it takes what there is or fails. */
  roomWait: 2 * MINUTE,
  /** A router that is silent this long no longer holds up a cutover; shorter than `boot`, so that no dyno counts as not booted for it. */
  routerSilence: 30 * SECOND,
  /** How often it is asked whether it is there. */
  routerPing: 10 * SECOND,
  /**
   * A router that is gone may serve on by its last table: a change waits for it so long, while another is connected. One whose network broke
   * notices that later than we do by its ping at most, and then dials every 3 s (router/limits.ts).
   */
  routerReturn: 20 * SECOND,
  /** Of a health check: its path, what must be in the answer, why it failed; and of how many dynos that is remembered. */
  checkPath: 1024,
  checkContent: 1024,
  checkTrouble: 200,
  checkTroubles: 1000,
  /** From one question to the next, and failures in a row before a dyno counts as unwell. */
  checkInterval: 5 * MINUTE,
  checkAttempts: 20,
  /** A router that hands over is waited for so long before it counts as lost. */
  routerHandover: 15 * SECOND,
  /** Routers that are remembered; the one that was seen longest ago makes room. */
  knownRouters: 100,
  /** How soon what has changed of routers is on disk, and that they were heard. */
  registerChanged: 2 * SECOND,
  registerSeen: MINUTE,
  releaseCommand: 60 * MINUTE,
  /** R13: a one-off dyno whose client has not come by then is ended. */
  rendezvous: 60 * SECOND,
  /** Secrets of one app that are out at once. */
  meetingsPerApp: 40,
  /** Input that waits for a command which does not read it. */
  inputAhead: 1 * MiB,
  /** Of a command, in a line of the log. */
  commandShown: 1000,
  /** A client that went away: from SIGHUP to SIGTERM; from there on as any stop. */
  hangup: 5 * SECOND,
  /** No one-off dyno lives longer: https://devcenter.heroku.com/articles/limits#one-off-dynos */
  oneOff: 24 * 60 * MINUTE,
  /** A dyno of a formation is replaced after so long, and a random part of the spread: https://devcenter.heroku.com/articles/dyno-restarts#daily-restarts */
  cycle: DAY,
  cycleSpread: 216 * MINUTE,
  /** From an SSH client's connection until it is known who it is, and how often it may try. */
  sshAuthentication: 20 * SECOND,
  sshAttempts: 6,
  /** A client is asked whether it is there, and given up when it has not answered so many times. */
  sshKeepAlive: 15 * SECOND,
  sshSilences: 3,
  /** A client with nothing to do is sent away, and may take this long to leave. */
  sshIdle: 5 * MINUTE,
  sshFarewell: 10 * SECOND,
  sshChannels: 16,
  /** How long one may stay whose request for an upgrade was refused. */
  refused: 3 * SECOND,
  /** Clients of ps:exec at once, and those of them that have not said yet who they are. */
  tunnelConnections: 500,
  tunnelStrangers: 50,
  /** How long a client's key opens a dyno for ps:exec, and how many are remembered of one app. */
  execKey: 12 * 60 * MINUTE,
  execKeysPerApp: 100,
  execsPerDyno: 64,
  sftpFiles: 4,
  /** One answer to a read. */
  sftpRead: 64 * KiB,
  /** What may be read again of a file; more than the 2 MiB that clients ask for at once. */
  sftpWindow: 3 * MiB,
  sftpPacket: 256 * KiB,
  buildTime: 15 * MINUTE,
  /** How long the erasing of an app waits for its build to end. */
  buildEnd: 20 * SECOND,
  /** What a build may take at most, and without how much it is not begun. */
  buildMemory: 2 * GiB,
  buildLeast: 512 * MiB,
  buildPids: 2048,
  /** Source, cache and slug of one build together. */
  buildDisk: 6 * GiB,
  buildFiles: 2_000_000,
  /** What is kept of one build for the next; a larger cache is dropped. */
  buildCache: 2 * GiB,
  /** How long the copy of a cache waits for a build. */
  spareCache: 60 * MINUTE,
  /** Builds stop when the disk has less than this left. */
  diskReserve: 512 * MiB,
  filesReserve: 50_000,
  /** Of these, what only the rows can have: see store/reserve.ts. */
  rowsReserve: 16 * MiB,
  /** How often it is looked whether they have it. */
  reserveEvery: 10 * SECOND,
  /** Slugs of an app that can be rolled back to, however short the disk is. */
  slugsAtLeast: 2,
  /** How long a tree stays unpacked that no dyno needs, and how long a cache, or an image that was fetched, of which no build is made. */
  idleTree: DAY,
  idleCache: 60 * DAY,
  idleBase: 7 * DAY,
  /** How long nobody must have owned what is removed because no row knows it; less than from one look to the next. */
  stray: 55 * MINUTE,
  /** How long a daemon that stops waits for what is being removed. */
  collectStop: 5 * SECOND,
  /** Unused pages of the database that are given back, when they are half of it. */
  databaseSlack: 64 * MiB,
  /** How old a measurement of what an app or a folder holds may be. */
  measured: 10 * MINUTE,
  /** A dyno whose own files take more has it told, and again when they take twice as much. */
  dynoFiles: 4 * GiB,
  /** Folders of which it is remembered what they take. */
  measuredPaths: 50_000,
  /** How long an image that was pushed is kept which no release has. */
  pushedKept: 7 * DAY,
  /** What the images that were pushed for one app may take. */
  pushedPerApp: 50 * GiB,
  /** How often it is looked at what is free, and, which takes a walk over all files, what a build uses. */
  diskFreeEvery: 0.5 * SECOND,
  diskUsedEvery: 5 * SECOND,
  buildpackTime: 60 * SECOND,
  buildpackSize: 64 * MiB,
  /** What a git server says of its branches and tags; a hundred thousand of them. */
  repositoryRefs: 16 * MiB,
  /** Of one buildpack or commit, with those of its submodules. */
  submodules: 50,
  /** How long a fetched buildpack is kept that no build uses, and how much of all of them is kept at most. */
  buildpackKept: 30 * DAY,
  buildpacksSize: 4 * GiB,
  /** A registry of buildpacks that has not answered by then cannot be reached, and is not asked again for so long. */
  registryAnswer: 4 * SECOND,
  registryOutage: 5 * MINUTE,
  /** How long what it said is good, how much one answer may be, and how many are remembered. */
  registryKept: MINUTE,
  registryAnswerSize: 2 * MiB,
  registryAnswers: 500,
  sourceSize: 1 * GiB,
  /** Files, folders and links in an uploaded or fetched source, or in an uploaded slug. */
  sourceEntries: 250_000,
  /** Of the names of its symbolic links, which are remembered, together; and of the folders that one file is in. */
  sourceLinkNames: 16 * MiB,
  sourceDepth: 200,
  /** For sending a source or slug, and for fetching one. */
  uploadTime: 60 * MINUTE,
  sourceTime: 5 * MINUTE,
  /** From asking for a source to the head of the answer. */
  sourceAnswer: MINUTE,
  sourceUrl: 8192,
  sourceRedirects: 5,
  /** How long the links to a source or slug open it, and how long a source is kept. */
  link: 60 * MINUTE,
  sourceKept: 24 * 60 * MINUTE,
  /** The oldest goes when one more is made. */
  sourcesPerAccount: 50,
  /** What an uploaded slug is when it is unpacked. */
  slugUnpacked: 4 * GiB,
  /** Slugs of an app that were announced and not sent yet; those without a release are kept for so long. */
  slugsAwaited: 100,
  slugKept: 24 * 60 * MINUTE,
  /** How often what is too old is looked for. */
  sweep: 60 * MINUTE,
  releaseDescription: 1000,
  /** Output of a deploy that waits for a client which does not read. */
  pushOutput: 1 * MiB,
  /** A git client that has read nothing for so long, although there was something, is let go. */
  gitStall: 10 * MINUTE,
  /** For git to pack one repository, which then waits for its next push. */
  repack: 60 * MINUTE,
  slugSize: 1 * GiB,
  /** Of an image that is pushed; what a manifest or a list of tags may be. */
  layerSize: 10 * GiB,
  manifestBytes: 4 * MiB,
  imageTags: 100,
  /** Layers on their way at once. */
  uploadsPerAccount: 50,
  /** A client of the registry that neither sends nor reads for so long is let go. */
  registryStall: 5 * MINUTE,
  /** How long requests wait for a registry that is being started. */
  registryStart: 15 * SECOND,
  /** How long it may take to end. */
  registryStop: 5 * SECOND,
  /** Blobs are collected when nobody has pushed for so long. */
  registryQuiet: 15 * MINUTE,
  /** For that, while pushes wait. */
  registryCollect: 5 * MINUTE,
  /** For the engine to fetch an image. */
  imagePull: 15 * MINUTE,
  /** A larger one is warned of. */
  slugSoft: 300 * MiB,
  configSize: 64 * KiB,
  /** Of a one-off process. */
  commandSize: 64 * KiB,
  jsonBody: 1 * MiB,
  /** Of a larger body so much is read and thrown away, so that its sender reads why. */
  bodyDiscarded: 16 * MiB,
  /** For a whole JSON body to come, and for a finished answer to be taken. */
  bodyTime: 30 * SECOND,
  answerTime: 60 * SECOND,
  /** Connections to one address of the API; further ones are closed at once. */
  apiConnections: 8000,
  preparedStatements: 200,
  /** A statement waits so long for another process that writes, as install.sh or a backup. */
  busy: 5 * SECOND,
  /** How often what is too old is looked for, and how many rows of it one transaction forgets. */
  retentionEvery: DAY,
  forgottenAtOnce: 100,
  /** After its end, so that it can still be seen that there was one. */
  authorizationsKept: 7 * DAY,
  /** The audit trail. */
  activitiesKept: 365 * DAY,
  /** Of one app. Older ones are gone, but for what something still needs. */
  buildsKept: 500,
  releasesKept: 1000,
  /** Files and folders of a backup, and the longest name of one. */
  backupEntries: 10_000_000,
  backupName: 1000,
  backupManifest: 64 * KiB,
  /** Of what comes as a stream, so much is one file of a backup; it is in memory meanwhile. */
  backupPart: 16 * MiB,
  /** The shortest time from one scheduled backup to the next, and how soon one that failed is tried again. */
  backupOften: 10 * MINUTE,
  backupAgain: 60 * MINUTE,
  /** What a guess at a passphrase costs, as scrypt's N: half a second and 128 MiB. A part of the format. */
  backupScrypt: 2 ** 17,
  /** How much of a backup is written or read before it is looked again whether the disk has room. */
  backupLook: 8 * MiB,
  /** What SQLite leaves of its write-ahead log after a checkpoint. */
  walSize: 64 * MiB,
  appsPerEngine: 1000,
  /** How often it is looked whether the firewall is there, and how long one change of it may take. */
  firewallEvery: 30 * SECOND,
  firewallTime: 10 * SECOND,
  dynosPerType: 100,
  /** Addresses of an app's /26 but for the network's own, the gateway's and a spare. */
  dynosPerApp: 60,
  oneOffsPerApp: 20,
  startsAtOnce: 4,
  /** Longest wait for one answer of the engine; a start on a busy machine takes seconds. */
  engineAnswer: 60 * SECOND,
  /** The same for the removal of an image, which may be gigabytes of small files. */
  imageRemoval: 10 * MINUTE,
  /** Dynos that boot at once, for each core; and how long one that is not up yet keeps its place. Of types without a router nobody knows when they are. */
  bootsPerCore: 2,
  boots: { web: 15 * SECOND, others: 3 * SECOND },
  /** How long a daemon that stops waits for starts that the engine has not answered. */
  launchStop: 5 * SECOND,
  logLine: 10_000,
  logLinesKept: 1500,
  /** Logplex's own default. */
  drainsPerApp: 5,
  /** Each has at most one connection. */
  drains: 1000,
  drainUrl: 2048,
  drainBatchLines: 1000,
  drainBatchBytes: 100 * KiB,
  /** Over HTTP a line waits this long for others. */
  drainGather: 1 * SECOND,
  /** From the name of the host to a verified certificate. */
  drainConnect: 5 * SECOND,
  /** A batch that is not taken in this time is sent again. */
  drainSend: 10 * SECOND,
  /** What is read of an answer. */
  drainAnswer: 64 * KiB,
  /** The longest pause after failures. */
  drainRetry: 30 * SECOND,
  /** A connection without lines is closed. */
  drainIdle: 60 * SECOND,
  /** What was written so shortly before a syslog connection broke is written again. */
  drainUnsure: 2 * SECOND,
  drainUnsureBytes: 1 * MiB,
  /** How often it is stored how far drains have got. */
  drainProgress: 1 * SECOND,
  /** A drain's errors are told once in this time. */
  drainTell: MINUTE,
  /** When the daemon stops, for what has not been delivered yet. */
  drainStop: 1.5 * SECOND,
  /** What one dyno may print a second without losing a line; beyond it lines are dropped, counted and told (L12). */
  logRate: { lines: 25_000, bytes: 10 * MiB },
  /** The same for what a build prints, which git and the transcript have whole. */
  buildLogRate: { lines: 5000, bytes: 2 * MiB },
  /** Stored output of one build or release command, and what is stored of its end when it has more. Heroku keeps 300 MB. */
  transcript: 16 * MiB,
  transcriptEnd: 64 * KiB,
  pipelinesPerOwner: 500,
  appsPerPromotion: 100,
  /** Of a pipeline, the newest. */
  promotionsKept: 200,
  /** Of slugs, for promotions. */
  copiesAtOnce: 2,
  /** Each builds. */
  setupsAtOnce: 2,
  underwayStop: 5 * SECOND,
  manifestSize: 256 * KiB,
  postdeploy: 60 * MINUTE,
  /** What is kept of its output, from the end. */
  postdeployOutput: 64 * KiB,
  branchName: 250,
  /** https://devcenter.heroku.com/articles/custom-domains */
  domainsPerApp: 1000,
  sniEndpointsPerApp: 1000,
  certificateChain: 64 * KiB,
  certificatesInChain: 10,
  privateKey: 16 * KiB,
  ...acmeLimits,
  webhooksPerApp: 20,
  webhookUrl: 2048,
  /** Of a secret, and of an Authorization header. */
  webhookSecret: 1024,
  /** From the connection to the end of the answer. */
  webhookSend: 10 * SECOND,
  /** What is read of an answer, to use nothing of it. */
  webhookAnswer: 64 * KiB,
  /** The pauses between attempts grow from the first to the longest. */
  webhookRetry: { first: 5 * SECOND, longest: 60 * MINUTE },
  /** Level sync: no attempt later than this after the event. */
  webhookLife: 72 * 60 * MINUTE,
  webhookAttemptsAtOnce: 100,
  /** Deliveries of one webhook that wait; more fail at once, and say why. */
  webhookQueue: 1000,
  webhookEventsKept: 1000,
  webhookEventsAge: 30 * 24 * 60 * MINUTE,
  /** How soon after something was written it is looked for new events, and how often when nothing is; nobody looks while there is no webhook. */
  webhookLook: 250,
  webhookRelook: 60 * SECOND,
  /** Tails that are open at once. */
  logSessions: 1000,
  /** In characters; what is longer than the upper bound is not looked at. */
  password: { least: 12, most: 256 },
  /** Passwords that are checked at once; each takes a core for a tenth of a second. More wait, and of those so many. */
  passwordChecks: 2,
  passwordQueue: 16,
  invitation: 7 * 24 * 60 * MINUTE,
  invitations: 500,
  keysPerAccount: 100,
  keySize: 16 * KiB,
  keyComment: 200,
  clientsPerAccount: 100,
  tokensPerAccount: 1000,
  /** Of one account: the oldest ends when one more is made, so that a client which people log in with does not use up their tokens. */
  authorizationsPerClient: 50,
  /** Failed logins: so many at once, then one every so often. One address must not use up what an account has. */
  loginsPerAddress: { size: 20, every: 6 * SECOND, most: 20_000 },
  loginsPerAccount: { size: 40, every: 2 * SECOND, most: 20_000 },
  /** How long a login waits for a browser: as long as the official CLI does. */
  browserLogin: 10 * MINUTE,
  browserLogins: 500,
  browserLoginsPerAddress: 20,
  /** How long somebody who logged in stays so; the CLI asks for as much. */
  session: 30 * 24 * 60 * MINUTE,
  /** A code of OAuth's web flow, and the token that a client gets for it; Heroku's figures. */
  grant: 5 * MINUTE,
  clientToken: 8 * 60 * MINUTE,
  /** Accounts whose use of the API is remembered. */
  ratedAccounts: 20_000,
  /** Of an HTML form. */
  formBody: 16 * KiB,
  /** Database and engine that have not answered by then are ill; and how long what was found is good. */
  healthAnswer: 5 * SECOND,
  healthKept: 1 * SECOND,
  /** One look of the doctor; names that are told of many; domains that are resolved; when the end of a certificate is near. */
  doctorLook: 8 * SECOND,
  doctorNames: 5,
  doctorDomains: 50,
  certificateNear: 14 * DAY,
  /** A backup that nobody has replaced for so long is worth a warning, where none are made by themselves. */
  backupOld: 7 * DAY,
} as const
