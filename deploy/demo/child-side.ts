/**
 * The child's end of the bargain: says that it is ready, and ends itself when it is told to or when its parent is
 * gone, however that died. `stop` frees what the process holds.
 */
export function untilStopped(stop: () => Promise<void>, facts: { readonly port?: number } = {}): void {
  let isStopping = false
  const end = (): void => {
    if (isStopping) return
    isStopping = true
    void stop().finally(() => process.exit(0))
  }
  process.on('SIGTERM', end)
  process.on('disconnect', end)
  process.send?.({ ready: true, ...facts })
}
