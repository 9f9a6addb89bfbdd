import type { Writable } from 'node:stream'

/** Writes several buffers in one call of the kernel, without joining them. `onTaken` as with `write`. */
export function writeTogether(
  stream: Writable,
  parts: readonly Buffer[],
  onTaken: (error?: Error | null) => void,
): void {
  stream.cork()
  const last = parts.length - 1
  for (let i = 0; i < last; i++) stream.write(parts[i])
  stream.write(parts[last], onTaken)
  stream.uncork()
}
