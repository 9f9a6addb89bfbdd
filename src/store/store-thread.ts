import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Database } from 'better-sqlite3'
import { openDatabase } from './database.ts'
import { GroupCommit } from './group-commit.ts'
import { OpenFile } from './open-file.ts'
import { storageError } from './storage-error.ts'
import { storeOps } from './store-ops.ts'
import type { FromThread, StoreReply, StoreRequest, ThreadData, ToThread } from './store-protocol.ts'

/*
 * The store thread: the only place that touches the file. While a transaction runs, requests pile up at the port;
 * the next transaction takes them all.
 */
const port = parentPort!
const { database: options, maxBatch } = workerData as ThreadData

/** Between two looks at whether the file is still the one at its path; durable commits look each time. */
const LOOK_EVERY_MS = 1000

try {
  const database = openDatabase(options)
  const file = new OpenFile(options.path)
  serve(database, file)
  tell({ kind: 'opened', file: file.identity })
} catch (thrown) {
  tell({ kind: 'refused', error: storageError(options.path, thrown) })
}

function serve(database: Database, file: OpenFile): void {
  const commit = new GroupCommit(database, options.path, storeOps(database))
  const looking = setInterval(leaveIfDetached, LOOK_EVERY_MS)
  port.on('message', (first: ToThread) => {
    let message: ToThread | undefined = first
    while (message !== undefined) {
      const batch: StoreRequest[] = []
      while (message !== undefined && message !== 'close' && batch.length < maxBatch) {
        batch.push(...message)
        message = receive()
      }
      if (batch.length > 0 && !answer(batch)) return
      if (message === 'close') {
        database.pragma('optimize')
        database.close()
        file.close()
        end({ kind: 'closed' })
        return
      }
    }
  })

  /** False: the thread has given up. */
  function answer(batch: readonly StoreRequest[]): boolean {
    const { replies, isDurable, broken } = commit.run(batch)
    const why = isDurable ? whyDetached() : undefined
    if (why !== undefined) {
      tell({ kind: 'replies', replies: replies.map((reply) => withdrawn(reply, why)) })
      leave(why)
      return false
    }
    tell({ kind: 'replies', replies })
    if (broken === 'damaged') leave('the file is damaged', true)
    if (broken === 'not rolled back')
      leave('the connection to the file could not be brought back to a known state')
    return broken === undefined
  }

  function whyDetached(): string | undefined {
    const attachment = file.look()
    return attachment.kind === 'attached' ? undefined : attachment.why
  }

  function leaveIfDetached(): void {
    const why = whyDetached()
    if (why !== undefined) leave(why)
  }

  /** Makes the file whole wherever it lies now, and ends. */
  function leave(why: string, isDamaged = false): void {
    const { kind } = file.look()
    try {
      if (!database.inTransaction) database.pragma('wal_checkpoint(TRUNCATE)')
      database.close()
      if (kind === 'moved') file.setLogAside()
      file.close()
    } catch {
      /* The next thread opens what is at the path, and says what is wrong with it. */
    }
    end({ kind: 'gave-up', why, isDamaged: isDamaged || kind === 'overwritten' })
  }

  function end(last: FromThread): void {
    clearInterval(looking)
    tell(last)
    port.close()
  }
}

/** What was committed into a file without a name must not count as durable. */
function withdrawn({ id }: StoreReply, why: string): StoreReply {
  return {
    id,
    error: { code: 'STORAGE', message: `${options.path}: ${why}, what was written last is not in it` },
  }
}

function receive(): ToThread | undefined {
  return (receiveMessageOnPort(port) as { readonly message: ToThread } | undefined)?.message
}

function tell(message: FromThread): void {
  port.postMessage(message)
}
