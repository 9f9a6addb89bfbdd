/**
 * One named state change (or question) of the store. `write` is durable against the end of the process, `durable`
 * also against the end of the host: its commit is fsynced before it is acknowledged. `run` is synchronous, on the
 * store thread, inside a transaction that it may share with others; it throws to undo its own part.
 */
export interface StoreOp<Args, Result> {
  readonly kind: 'read' | 'write' | 'durable'
  run(args: Args): Result
}
