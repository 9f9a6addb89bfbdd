/** The pinned connection as the pool sees it in this turn. */
export type PinnedConnection =
  /** May be picked. */
  | 'available'
  /** Alive, but paused, full or ejected for now. */
  | 'busy'
  /** Closed, draining, or of a process before this one. */
  | 'gone'

export type RebindChoice =
  /** Use the pinned connection. */
  | 'pinned'
  /** Let the picker choose for this event only; the pin stays, for the connection may be back shortly. */
  | 'borrow'
  /** Choose among the connections of the session's home and pin that one. */
  | 'same-home'
  /** Let the picker choose among all, and make that connection and its home the session's. */
  | 'anywhere'

/**
 * Where an event of a sticky session goes. A session outlives its connection: it moves to another connection of
 * the same home (endpoint or agent instance), which still has its state, and only then elsewhere. It never
 * fails for want of its pin; what must not move is affinity, which pins the events of one request.
 */
export function rebindChoice(pinned: PinnedConnection, homeHasAvailable: boolean): RebindChoice {
  switch (pinned) {
    case 'available':
      return 'pinned'
    case 'busy':
      return 'borrow'
    case 'gone':
      return homeHasAvailable ? 'same-home' : 'anywhere'
  }
}
