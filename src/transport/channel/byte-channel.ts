import type { WeirError } from '../../core/errors.ts'

/** What a byte channel tells its one owner. Never called after `onClosed`. */
export interface ChannelListener {
  onData(chunk: Buffer): void
  /** Grows whenever something that was delivered is in use beyond its `onData`. Absent: anything may be. */
  keptCount?(): number
  /** Bytes of an incomplete message, the last ones of those delivered. With `keptCount`. */
  heldBytes?(): number
  /** Moves those bytes to the start of `to`, which may overlap them, and returns how many they are. With `keptCount`. */
  moveHeld?(to: Buffer): number
  /**
   * The peer ended its direction in good order. `reason` is what it said, where the transport can say anything
   * (a gRPC status other than OK).
   */
  onEnd(reason: WeirError | undefined): void
  /** The peer announced that it will end soon (HTTP/2 GOAWAY). The channel still works. */
  onRetiring(): void
  /** Once: both directions are gone and nothing of the channel is left. */
  onClosed(error: WeirError | undefined): void
}

/**
 * Bytes both ways: a net or tls socket, or one gRPC stream. It knows nothing of messages; whatever is written in
 * one call leaves in one piece and in order.
 */
export interface ByteChannel {
  /** Address of the peer for people. */
  readonly peer: string
  /** What is written leaves at the end of this turn of the event loop, as HTTP/2 sessions have it; absent: at once. */
  readonly isDeferring?: true
  /** Bytes that are left free in front of what is written, for a frame header of the channel's own; absent: none. */
  readonly headroomBytes?: number
  /** Starts delivering to the listener. Called once, in the turn in which the channel was made. */
  start(listener: ChannelListener): void
  /**
   * Hands bytes over without copying them: they must not change until `onTaken` is called. Every call is
   * answered by one `onTaken`, in order; with an error when the bytes may still be referenced.
   */
  write(bytes: Buffer, onTaken: (error?: Error | null) => void): void
  /** As `write`, for bytes that lie in several places. Absent: they are joined. */
  writeParts?(parts: readonly Buffer[], onTaken: (error?: Error | null) => void): void
  /** Stops delivering data until `resume`. What was read before may still arrive. */
  pause(): void
  resume(): void
  /** Ends our direction after what was written; `reason` reaches the peer where the transport can carry it. */
  end(reason?: WeirError): void
  /** Drops the channel at once. `onClosed` follows. */
  destroy(reason?: WeirError): void
}

/** Largest message accepted by default, bytes: what Unix-socket frames can carry, and more than gRPC peers send. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024 - 1
