import { spawn } from 'node:child_process'

/** What opens a URL: as told, $BROWSER, or the desktop's own. */
function opener(browser: string | undefined): string {
  const named = browser ?? process.env.BROWSER
  if (named) return named
  return process.platform === 'darwin' ? 'open' : 'xdg-open'
}

/** Opens a page in a browser; false when there is none here. */
export function browse(url: string, browser?: string): Promise<boolean> {
  if (!/^https?:\/\//.test(url)) return Promise.resolve(false)
  const hasDesktop = process.platform !== 'linux' || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY)
  if (!browser && !process.env.BROWSER && !hasDesktop) return Promise.resolve(false)
  return new Promise((resolve) => {
    const child = spawn(opener(browser), [url], { stdio: 'ignore', detached: true })
    child.once('error', () => resolve(false))
    child.once('spawn', () => {
      child.unref()
      resolve(true)
    })
  })
}
