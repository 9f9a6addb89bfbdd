/** A WebSocket connection on its way through, from the upstream's 101 to its end. */
export interface Tunnel {
  /** Bytes from the client and to it, framing included. */
  readonly clientBytes: number
  readonly upstreamBytes: number
  /** Ends it politely, if it speaks a language in which that can be said. */
  drain(): void
  /** Ends it now. */
  cut(): void
}
