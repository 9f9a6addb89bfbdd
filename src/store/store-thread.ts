import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { openDatabase } from './database.ts'
import { GroupCommit } from './group-commit.ts'
import { storageError } from './storage-error.ts'
import { storeOps } from './store-ops.ts'
import type { FromThread, StoreRequest, ThreadData, ToThread } from './store-protocol.ts'

/*
 * The store thread: the only place that touches the file. While a transaction runs, requests pile up at the port;
 * the next transaction takes them all.
 */
const port = parentPort!
const { database: options, maxBatch } = workerData as ThreadData

try {
  const database = openDatabase(options)
  serve(new GroupCommit(database, options.path, storeOps(database)), () => {
    database.pragma('optimize')
    database.close()
  })
  tell({ kind: 'opened' })
} catch (thrown) {
  tell({ kind: 'refused', error: storageError(options.path, thrown) })
}

function serve(commit: GroupCommit, close: () => void): void {
  port.on('message', (first: ToThread) => {
    let message: ToThread | undefined = first
    while (message !== undefined) {
      const batch: StoreRequest[] = []
      while (message !== undefined && message !== 'close' && batch.length < maxBatch) {
        batch.push(...message)
        message = receive()
      }
      if (batch.length > 0) tell({ kind: 'replies', replies: commit.run(batch) })
      if (message === 'close') {
        close()
        tell({ kind: 'closed' })
        port.close()
        return
      }
    }
  })
}

function receive(): ToThread | undefined {
  return (receiveMessageOnPort(port) as { readonly message: ToThread } | undefined)?.message
}

function tell(message: FromThread): void {
  port.postMessage(message)
}
