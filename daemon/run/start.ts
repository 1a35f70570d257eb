/**
 * The daemon's start, as far as apps are concerned: what the engine has is listed, and then every app gets a look. One whose look fails
 * is tried again later, and holds up nobody.
 *
 *   listing -- known --> looking -- the last app was looked at --> over
 */
export interface Start {
  /** The engine was listed; these apps are there. */
  known(apps: readonly string[]): void
  /** Waits for a look at an app, and passes on what comes of it. */
  seeing<Result>(app: string, look: Promise<Result>): Promise<Result>
  isOver(): boolean
}

/** `ended` is called once, when it is over. */
export function createStart(ended: () => void = () => {}): Start {
  let unseen: Set<string> | undefined
  const seen = (app: string): void => {
    if (unseen?.delete(app) && unseen.size === 0) ended()
  }
  return {
    known(apps) {
      if (unseen) return
      unseen = new Set(apps)
      if (unseen.size === 0) ended()
    },
    seeing: (app, look) => look.finally(() => seen(app)),
    isOver: () => unseen?.size === 0,
  }
}
