import { writeSync } from 'node:fs'
import { type DestinationStream, destination } from 'pino'

/** Lines held while the destination is slow or full, bytes. Beyond it lines are dropped: a log never holds up traffic. */
const MAX_HELD_BYTES = 4 * 1024 * 1024

/** Where log lines go, whatever becomes of it. */
export interface LogDestination extends DestinationStream {
  /** Writes out what is held, if the destination takes it. */
  flushSync(): void
}

/**
 * A file descriptor, written without blocking. A full disk or a closed pipe costs log lines and one line on standard
 * error, never a request: what cannot be written is held up to a bound, then dropped, and tried again with the next
 * line.
 */
export function logDestination(fd: number): LogDestination {
  let isBroken = false
  let isGone = false
  /* Registered before pino's own hook, which would try to write to a full disk for ever while the process exits. */
  process.once('exit', () => {
    if (isBroken && !isGone) stream.destroy()
  })
  const stream = destination({ fd, sync: false, maxLength: MAX_HELD_BYTES })
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (!isBroken) complain(error)
    isBroken = true
  })
  stream.on('drain', () => {
    isBroken = false
  })
  return {
    write(line) {
      if (!isGone) stream.write(line)
    },
    flushSync() {
      if (isGone) return
      if (isBroken) {
        isGone = true
        stream.destroy()
        return
      }
      stream.flushSync()
    },
  }
}

function complain(error: Error): void {
  try {
    writeSync(2, `weir: log lines are being lost: ${error.message}\n`)
  } catch {
    /* Whoever read both streams is gone; there is nobody left to tell. */
  }
}
