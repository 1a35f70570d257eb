const SECOND = 1000
const MINUTE = 60 * SECOND
const DAY = 24 * 60 * MINUTE

const KiB = 1024

/** Of what an authority is asked for, and of how long; part of `limits`. */
export const acmeLimits = {
  /** Of an authority's answer. */
  acmeAnswer: 30 * SECOND,
  acmeAnswerSize: 128 * KiB,
  /** From an order to its certificate; one is made at a time. */
  acmeOrder: 5 * MINUTE,
  /** Orders of the whole platform: 100 at once, 300 in three hours, as Let's Encrypt allows (https://letsencrypt.org/docs/rate-limits/). */
  acmeOrders: { size: 100, every: 54 * SECOND, most: 1 },
  /** Orders are remembered so long; the bounds below are in this time, each a little below Let's Encrypt's, which others use of too. */
  acmeWeek: 7 * DAY,
  /** First certificates below one registered domain, and of these for apps' own hosts, so that the platform's and users' domains find room. */
  acmeWeekly: 45,
  acmeWeeklyHosts: 35,
  /** Certificates of one name. */
  acmeSame: 4,
  /** Orders of one name that fail, in an hour. */
  acmeFailures: 4,
  /** How long an authority that is asked too much is left alone when it does not say, and at most by those whom it has not refused. */
  acmeLimited: 60 * MINUTE,
  /** A renewal comes up to so long after its time, so that what was ordered together is not renewed together. */
  acmeSpread: 12 * 60 * MINUTE,
  /** An authority is asked when it wishes a certificate to be renewed: after a start within the first, then as often as it says, in these bounds. */
  acmeWish: { first: 60 * MINUTE, least: 60 * MINUTE, usual: 6 * 60 * MINUTE, most: DAY },
  /** So young none is renewed at its wish, which may be an error that repeats itself. */
  acmeYoung: DAY,
  /** The pauses after failures in a row: with these an authority sees at most five in an hour. From the fifth on a domain counts as failed. */
  acmRetry: [MINUTE, 5 * MINUTE, 15 * MINUTE, 60 * MINUTE, DAY],
  /** No certificate is asked for so soon after the last one, whatever became of it. */
  acmAgain: 60 * MINUTE,
  /** Nor is a failed one tried again at somebody's wish. */
  acmRefresh: 12 * MINUTE,
} as const
