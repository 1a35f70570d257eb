/** What a path of a health check may be: it becomes a line of a request. */
export const checkPath = /^\/[\x21-\x7e]*$/

const SECOND = 1000

/** Of a check that says nothing else, ms; Kubernetes' figures, but for the time-out, which is Dokku's. */
export const checkTimes = { timeout: 5 * SECOND, interval: 10 * SECOND, attempts: 3 }
