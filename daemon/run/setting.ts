import { limits } from '../limits.ts'

/** What an app's config vars ask of the web dynos of their release. Pure. */

const BOOT = 'SLUICE_BOOT_SECONDS'
const SECOND = 1000

/** How long one may take until it accepts connections, ms. A value that is not allowed is refused when it is set; one that is there all the same, or empty, sets nothing. */
export function bootTimeOf(config: Readonly<Record<string, string>>): number {
  const value = config[BOOT] ?? ''
  return isAllowed(value) ? Number(value) * SECOND : limits.boot
}

/** Undefined when all is well with it. */
export const faultOf = (name: string, value: string): string | undefined =>
  name !== BOOT || value === '' || isAllowed(value)
    ? undefined
    : `${BOOT} must be a whole number of seconds from ${limits.boot / SECOND} to ${limits.longestBoot / SECOND}.`

const isAllowed = (value: string): boolean =>
  /^\d{1,3}$/.test(value) && Number(value) * SECOND >= limits.boot && Number(value) * SECOND <= limits.longestBoot
