import { ByteWriter } from '../../wire/byte-writer.ts'

/** Writers kept for reuse. At most one is in use per connection and tick, so few serve thousands. */
const MAX_FREE = 64
/** A writer that grew past this is left to the garbage collector: big bodies are rare, memory is not. */
const MAX_KEPT_BYTES = 256 * 1024
/** Room for a handful of events before the first growth. */
const INITIAL_BYTES = 4096

const free: ByteWriter[] = []

/**
 * Encoding buffers shared by all connections of the process: a connection holds one only while it has bytes to
 * hand over, so an idle connection costs none.
 */
export function acquireWriter(): ByteWriter {
  return free.pop() ?? new ByteWriter(INITIAL_BYTES, true)
}

/** Gives a writer back. Nothing may reference its bytes any more. */
export function releaseWriter(writer: ByteWriter): void {
  writer.clear()
  if (writer.bytes.length <= MAX_KEPT_BYTES && free.length < MAX_FREE) free.push(writer)
}
