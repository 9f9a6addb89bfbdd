import { syncBuiltinESMExports } from 'node:module'
import type { TestContext } from 'node:test'
import workerThreads, { type Worker } from 'node:worker_threads'

/** Every thread that this process starts until the test ends, the oldest first, so that one can be made to die. */
export function watchThreads(test: TestContext): readonly Worker[] {
  const Real = workerThreads.Worker
  const started: Worker[] = []
  const Watched = class extends Real {
    constructor(...args: ConstructorParameters<typeof Real>) {
      super(...args)
      started.push(this)
    }
  }
  const use = (worker: typeof Real): void => {
    workerThreads.Worker = worker
    syncBuiltinESMExports()
  }
  use(Watched)
  test.after(() => use(Real))
  return started
}
