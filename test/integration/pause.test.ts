import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

const BURST = 30
const burst = { concurrency: BURST, total: BURST }

for (const kind of ['uds', 'grpc', 'reverse'] as const) {
  scenario(
    `${kind}: a pause holds back new events as onPause says, and a resume lets them go`,
    async (stage) => {
      const address = kind === 'grpc' ? '127.0.0.1:0' : stage.path()
      const agent = kind === 'reverse' ? undefined : await stage.judge(kind, address)
      const plan = agent === undefined ? {} : { address: agent.address }
      const gates = {
        closed: stage.gate({ ...plan, policy: { onPause: 'closed' } }),
        open: stage.gate({ ...plan, policy: { onPause: 'open' } }),
        short: stage.gate({ ...plan, policy: { onPause: 'wait', flowWaitMs: 150, timeoutMs: 5000 } }),
        long: stage.gate({ ...plan, policy: { onPause: 'wait', flowWaitMs: 60_000, timeoutMs: 300 } }),
        patient: stage.gate({ ...plan, policy: { onPause: 'wait', flowWaitMs: 5000, timeoutMs: 10_000 } }),
      }
      if (kind === 'reverse') {
        /* One process per proxy: an SDK agent dials one. */
        for (const [name, gate] of Object.entries(gates)) await gate.listen(`unix:${stage.path(name)}`)
      }
      const agents =
        agent !== undefined
          ? [agent]
          : await Promise.all(
              Object.keys(gates).map((name) => stage.judge('reverse', `unix:${stage.path(name)}`, 0, 4)),
            )
      for (const gate of Object.values(gates)) await stage.ready(gate)
      for (const one of agents) one.tell('pause')
      for (const gate of Object.values(gates))
        await eventually('the pause is known', () => gate.snapshot().paused === 4)
      const waiting = stage.load(gates.patient, burst)
      const [closed, open, short, long] = await Promise.all(
        [gates.closed, gates.open, gates.short, gates.long].map((gate) => stage.load(gate, burst).done),
      )
      assert.deepEqual(tally(closed!), { PAUSED: BURST })
      assert.deepEqual(tally(open!), { 'bypass:paused': BURST })
      assert.deepEqual(tally(short!), { PAUSED: BURST })
      for (const { latencyMs } of short!)
        assert.ok(latencyMs >= 149 && latencyMs < 4000, `waited ${latencyMs} ms`)
      assert.deepEqual(tally(long!), { TIMEOUT: BURST })
      assert.deepEqual([gates.patient.snapshot().waiting, waiting.outcomes.length], [BURST, 0])
      for (const one of agents) one.tell('resume')
      assert.deepEqual(tally(await waiting.done), { allow: BURST })
      for (const gate of Object.values(gates)) await stage.recovers(gate)
    },
  )
}
