import { ByteWriter } from '../../wire/byte-writer.ts'

/** Writers kept for reuse. At most one is in use per connection and tick, so few serve thousands. */
const MAX_FREE = 64
/** A writer that grew past this is left to the garbage collector; pieces of a body that go together fit into it as text. */
const MAX_KEPT_BYTES = 1024 * 1024
/** Bytes of all writers that are kept. */
const MAX_FREE_BYTES = 8 * 1024 * 1024
/** Room for a handful of events before the first growth. */
const INITIAL_BYTES = 4096

/** Gets a writer back once its bytes were taken, or will never be. */
export interface WriterBorrower {
  onTaken(writer: PooledWriter, error: Error | null | undefined): void
}

/**
 * An encoding buffer that is lent to one connection at a time. It carries the callback of its own write, so that
 * neither a connection nor a write needs one.
 */
export class PooledWriter extends ByteWriter {
  borrower: WriterBorrower | undefined
  readonly onTaken = (error?: Error | null): void => this.borrower?.onTaken(this, error)
}

const free: PooledWriter[] = []
let freeBytes = 0

/**
 * Encoding buffers shared by all connections of the process: a connection holds one only while it has bytes to
 * hand over, so an idle connection costs none.
 */
export function acquireWriter(borrower: WriterBorrower): PooledWriter {
  const kept = free.pop()
  if (kept !== undefined) freeBytes -= kept.bytes.length
  const writer = kept ?? new PooledWriter(INITIAL_BYTES, true)
  writer.borrower = borrower
  return writer
}

/** Gives a writer back. Nothing may reference its bytes any more. */
export function releaseWriter(writer: PooledWriter): void {
  writer.clear()
  writer.borrower = undefined
  const { length } = writer.bytes
  if (length > MAX_KEPT_BYTES || free.length >= MAX_FREE || freeBytes + length > MAX_FREE_BYTES) return
  freeBytes += length
  free.push(writer)
}
