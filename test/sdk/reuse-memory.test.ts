import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { BodyChunkEvent } from '../../src/core/event.ts'
import type { Agent } from '../../src/sdk/agent.ts'
import { block } from '../../src/sdk/answer.ts'
import { serveGrpc, serveUds } from '../../src/sdk/serve.ts'
import type { Connection } from '../../src/transport/connection.ts'
import { grpcDialer } from '../../src/transport/grpc/grpc-dialer.ts'
import { udsDialer } from '../../src/transport/uds/uds-dialer.ts'
import { ask, HANDSHAKE } from '../support/asking.ts'
import { bodyChunk } from '../support/sample-events.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

const PIECES = 60
const PIECE_BYTES = 65_536

const piece = (body: number, chunkIndex: number): BodyChunkEvent =>
  bodyChunk(`body-${body}`, '', {
    data: Buffer.alloc(PIECE_BYTES, (body * 31 + chunkIndex + 1) & 0xff),
    chunkIndex,
    isLast: chunkIndex === PIECES - 1,
  })

/** Every byte is the one that was sent. */
function isWhole({ correlationId, chunkIndex, data }: BodyChunkEvent): boolean {
  const { data: sent } = piece(Number(correlationId.slice(5)), chunkIndex)
  return Buffer.from(data.buffer, data.byteOffset, data.length).equals(sent)
}

type Wire = 'Unix socket' | 'gRPC'

async function connectionTo(
  t: TestContext,
  wire: Wire,
  handlers: Omit<Agent, 'name'>,
  reuseBodyMemory: boolean,
): Promise<Connection> {
  const agent = { name: 'looks', ...handlers }
  const path = join(await temporaryFolder(t), 'a.sock')
  const running =
    wire === 'gRPC'
      ? await serveGrpc('127.0.0.1:0', agent, { reuseBodyMemory })
      : await serveUds(path, agent, { reuseBodyMemory })
  t.after(() => running.close({ timeoutMs: 0 }))
  const dialer =
    wire === 'gRPC'
      ? grpcDialer(running.address, HANDSHAKE)
      : udsDialer(path, HANDSHAKE, { encodings: ['msgpack', 'json'] })
  const connection = await dialer.dial(AbortSignal.timeout(5000))
  t.after(() => connection.close())
  return connection
}

/** Three bodies side by side, all their pieces under way together. */
async function sendBodies(connection: Connection): Promise<string[]> {
  const replies = Array.from({ length: 3 * PIECES }, (_, n) =>
    ask(connection, piece(n % 3, Math.floor(n / 3))),
  )
  return (await Promise.all(replies)).map(({ decision }) => decision.kind)
}

const allAllowed = new Array<string>(3 * PIECES).fill('allow')

for (const wire of ['Unix socket', 'gRPC'] as const) {
  test(`over ${wire}, a handler that answers at once sees every byte, though its memory is used again`, async (t) => {
    const seen = new Set<ArrayBufferLike>()
    const connection = await connectionTo(
      t,
      wire,
      {
        onRequestBody(chunk) {
          seen.add(chunk.data.buffer)
          return isWhole(chunk) ? undefined : block(403)
        },
      },
      true,
    )
    assert.deepEqual(await sendBodies(connection), allAllowed)
    assert.ok(seen.size < PIECES / 2, `${3 * PIECES} pieces lay in ${seen.size} buffers`)
  })

  test(`over ${wire}, a handler that takes its time has the data until it has answered, whatever arrives meanwhile`, async (t) => {
    const connection = await connectionTo(
      t,
      wire,
      {
        async onRequestBody(chunk) {
          await new Promise((resolve) => setImmediate(resolve))
          return isWhole(chunk) ? undefined : block(403)
        },
      },
      true,
    )
    assert.deepEqual(await sendBodies(connection), allAllowed)
  })

  test(`over ${wire}, by default what a handler keeps of the data stays as it was`, async (t) => {
    const kept: BodyChunkEvent[] = []
    const connection = await connectionTo(t, wire, { onRequestBody: (chunk) => void kept.push(chunk) }, false)
    assert.deepEqual(await sendBodies(connection), allAllowed)
    assert.equal(kept.length, 3 * PIECES)
    assert.ok(kept.every(isWhole))
  })
}
