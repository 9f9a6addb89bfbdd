import assert from 'node:assert/strict'
import type { EventKind } from '../../src/core/event.ts'
import type { AgentPolicy } from '../../src/proxy/agent-policy.ts'
import { eventually } from '../support/eventually.ts'
import { within } from './agent-process.ts'
import type { Gate } from './gate.ts'
import { type Stage, scenario } from './harness.ts'
import { PIECE_BYTES, type Upload } from './upload.ts'

const UPLOADS = 20
/** Quick to open and to try again, so that the whole circle fits into a test. */
const POOL = { breaker: { openMs: 300 }, health: { pauseMs: 100 } }
const BODIES: Partial<AgentPolicy> = {
  events: new Set<EventKind>(['request-headers', 'request-body-chunk']),
  body: { mode: 'stream', maxBytes: 1_000_000, onTooLarge: 'reject' },
}

for (const kind of ['uds', 'grpc'] as const) {
  const addressOf = (stage: Stage): string => (kind === 'uds' ? stage.path() : '127.0.0.1:0')

  scenario(
    `${kind}: an agent is killed under uploads: no later piece goes to its successor, in either mode`,
    async (stage) => {
      const agent = await stage.judge(kind, addressOf(stage))
      const closed = stage.gate({ address: agent.address, pool: POOL, policy: BODIES })
      const open = stage.gate({
        address: agent.address,
        pool: POOL,
        policy: { ...BODIES, onFailure: 'open' },
      })
      const gates = [closed, open]
      for (const gate of gates) await stage.ready(gate)
      const resting = [await begun(closed), await begun(open)] as const
      const underWay = await begun(closed)
      await agent.ask('hold')
      const pieces = underWay.map((upload) => upload.pieces(3))
      await eventually('the agent has them', async () => Number(await agent.ask('held')) === UPLOADS)
      assert.equal(closed.snapshot().pins, 2 * UPLOADS)
      assert.equal(bytesOf(closed), 3 * UPLOADS * PIECE_BYTES, 'pieces go ahead of verdicts')
      await agent.kill()
      for (const whats of await Promise.all(pieces))
        assert.deepEqual(whats, ['CONNECTION_LOST', 'CANCELLED', 'CANCELLED'])
      await eventually('every connection is known to be lost', () =>
        gates.every((gate) => gate.snapshot().active === 0),
      )
      const next = await stage.judge(kind, agent.address)
      for (const gate of gates) {
        await stage.recovers(gate)
        await stage.ready(gate)
      }
      const seen = await next.ask('seen')
      const [first, ...others] = resting[1]
      for (const upload of others) upload.commit()
      for (const upload of [...resting[0], ...underWay, ...others])
        assert.equal((await upload.piece()).what, 'AFFINITY_LOST')
      assert.equal((await first!.piece()).what, 'bypass:unavailable', 'nothing of this body was handed on')
      assert.deepEqual([await next.ask('seen'), await next.ask('torn')], [seen, '0'])
      for (const upload of [...resting[0], ...resting[1], ...underWay]) upload.close()
      await whole(closed, String(next.pid))
    },
  )

  scenario(
    `${kind}: an agent stops answering under uploads: one deadline ends each, and their bytes are let go`,
    async (stage) => {
      const agent = await stage.judge(kind, addressOf(stage))
      const policy = { ...BODIES, timeoutMs: 300 }
      const gate = stage.gate({ address: agent.address, pool: POOL, policy })
      await stage.ready(gate)
      const uploads = await begun(gate)
      await agent.ask('hold')
      const startedAt = performance.now()
      const pieces = uploads.map((upload) => upload.pieces(4))
      for (const whats of await Promise.all(pieces))
        assert.deepEqual(whats, ['TIMEOUT', 'CANCELLED', 'CANCELLED', 'CANCELLED'])
      assert.ok(performance.now() - startedAt >= 299, 'no deadline is early')
      assert.equal(gate.snapshot().timeouts, UPLOADS, 'a piece behind another one is not late itself')
      assert.equal(bytesOf(gate), 0)
      for (const upload of uploads) upload.close()
      await agent.ask('release')
      await stage.recovers(gate)
      assert.equal(gate.snapshot().lost, 0, 'a hanging agent keeps its connections')
      await whole(gate, String(agent.pid))
    },
  )

  scenario(
    `${kind}: an agent restarts gracefully under uploads: it answers what it has, and its successor gets no rest`,
    async (stage) => {
      const old = await stage.judge(kind, addressOf(stage))
      const gate = stage.gate({ address: old.address, pool: POOL, policy: BODIES })
      await stage.ready(gate)
      const uploads = await begun(gate)
      await old.ask('hold')
      const inFlight = uploads.map((upload) => upload.pieces(2))
      await eventually('the agent has them', async () => Number(await old.ask('held')) === UPLOADS)
      old.tell('close')
      await eventually('the gate knows of the drain', () => gate.snapshot().healthy === 0)
      await old.ask('release')
      for (const whats of await Promise.all(inFlight)) assert.deepEqual(whats, ['allow', 'allow'])
      await within('the exit of the old agent', 5000, old.exited)
      const next = await stage.judge(kind, old.address)
      await stage.recovers(gate)
      await stage.ready(gate)
      for (const upload of uploads) {
        assert.equal((await upload.piece()).what, 'AFFINITY_LOST')
        for (const { judge } of upload.outcomes.slice(0, -1)) assert.equal(judge, String(old.pid))
        upload.close()
      }
      assert.equal(await next.ask('torn'), '0')
      await whole(gate, String(next.pid))
    },
  )

  scenario(
    `${kind}: a drain lets uploads that were begun finish, piece by piece, and refuses new ones`,
    async (stage) => {
      const agent = await stage.judge(kind, addressOf(stage))
      const gate = stage.gate({ address: agent.address, pool: POOL, policy: BODIES })
      await stage.ready(gate)
      const uploads = await begun(gate)
      const [cut, ...others] = uploads
      const drained = gate.pool().drain(gate.clock.now() + 2000)
      assert.equal((await gate.ask()).what, 'DRAINING')
      const finish = async (upload: Upload): Promise<void> => {
        assert.deepEqual(await upload.pieces(3), ['allow', 'allow', 'allow'])
        assert.equal((await upload.piece(true)).what, 'allow')
        upload.close()
      }
      await Promise.all(others.map(finish))
      assert.equal(gate.snapshot().pins, 1)
      assert.equal(gate.snapshot().active, 1, 'only the connection of the last one stays')
      await agent.ask('hold')
      const held = cut!.pieces(2)
      await drained
      assert.deepEqual(await held, ['DRAINING', 'CANCELLED'], 'the drain ends at its deadline')
      assert.equal((await cut!.piece()).what, 'AFFINITY_LOST')
      cut!.close()
      assert.equal(await agent.ask('torn'), '0')
      assert.equal(gate.snapshot().active, 0)
    },
  )
}

/** Uploads whose headers and first two pieces were allowed. */
async function begun(gate: Gate): Promise<readonly Upload[]> {
  const uploads = await Promise.all(Array.from({ length: UPLOADS }, () => gate.upload()))
  for (const whats of await Promise.all(uploads.map((upload) => upload.pieces(2))))
    assert.deepEqual(whats, ['allow', 'allow'])
  return uploads
}

/** New uploads go through as if nothing had happened. */
async function whole(gate: Gate, judge: string): Promise<void> {
  for (const upload of await begun(gate)) {
    const { what, judge: last } = await upload.piece(true)
    assert.deepEqual([what, last], ['allow', judge])
    upload.close()
  }
}

function bytesOf(gate: Gate): number {
  return gate.snapshot().connections.reduce((sum, { bodyBytesInFlight }) => sum + bodyBytesInFlight, 0)
}
