import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { AgentEvent } from '../../src/core/event.ts'
import * as arbitrary from './support/arbitraries.ts'
import { agentHears, PAIRS, proxyHears, withoutUndefined, written } from './support/codecs.ts'

const RUNS = { numRuns: 150 }

for (const pair of PAIRS) {
  describe(`over ${pair.name}, what one end writes the other reads`, () => {
    it('every event', () => {
      fc.assert(
        fc.property(arbitrary.agentEvent(), (event) => {
          const told = agentHears(
            pair.agent(),
            written((out) => pair.proxy().writeEvent(event, out)),
          )
          assert.deepEqual(withoutUndefined(told), [['event', withoutUndefined(asCarried(event))]])
        }),
        { numRuns: 300 },
      )
    })

    it('every reply', () => {
      fc.assert(
        fc.property(arbitrary.agentReply(), (reply) => {
          const told = proxyHears(
            pair.proxy(),
            written((out) => pair.agent().writeReply(reply, out)),
          )
          assert.deepEqual(withoutUndefined(told), [['reply', withoutUndefined(reply)]])
        }),
        { numRuns: 300 },
      )
    })

    it('handshakes', () => {
      const encodings = pair.name === 'grpc' ? [] : (['msgpack', 'json'] as const)
      fc.assert(
        fc.property(
          arbitrary.handshakeRequest(encodings),
          arbitrary.handshakeResponse(),
          (request, response) => {
            const asked = agentHears(
              pair.agent(),
              written((out) => pair.proxy().writeHandshake(request, out)),
            )
            assert.deepEqual(withoutUndefined(asked), [['handshake', withoutUndefined(request)]])
            const answered = proxyHears(
              pair.proxy(),
              written((out) => pair.agent().writeHandshakeResponse(response, out)),
            )
            assert.deepEqual(withoutUndefined(answered), [['handshake-response', withoutUndefined(response)]])
          },
        ),
        RUNS,
      )
    })

    it('health, flow, metrics and configuration requests', () => {
      const flow = fc.record({
        correlationId: arbitrary.maybe(arbitrary.text()),
        action: fc.constantFrom('pause' as const, 'resume' as const, 'update-capacity' as const),
        bufferAvailable: arbitrary.maybe(arbitrary.count()),
        timestampMs: arbitrary.count(),
      })
      const update = fc.record({
        requestId: arbitrary.text(),
        timestampMs: arbitrary.count(),
        update: arbitrary.configUpdate(),
      })
      fc.assert(
        fc.property(
          arbitrary.healthReport(),
          flow,
          arbitrary.metricsReport(),
          update,
          (health, signal, metrics, request) => {
            const agent = pair.agent()
            const bytes = written((out) => {
              agent.writeHealth(health, out)
              agent.writeFlow(signal, out)
              agent.writeMetrics(metrics, out)
              agent.writeConfigUpdate(request, out)
            })
            assert.deepEqual(withoutUndefined(proxyHears(pair.proxy(), bytes)), [
              ['health', withoutUndefined(health)],
              ['flow', withoutUndefined(signal)],
              ['metrics', withoutUndefined(metrics)],
              ['config-update', withoutUndefined(request)],
            ])
          },
        ),
        RUNS,
      )
    })

    it('cancels and pings, and the pong that a ping makes', () => {
      fc.assert(
        fc.property(
          arbitrary.text(),
          arbitrary.cancelReason(),
          arbitrary.count(),
          arbitrary.count(),
          (id, reason, sequence, ms) => {
            const proxy = pair.proxy()
            const bytes = written((out) => {
              proxy.writeCancel(id, reason, ms, out)
              proxy.writePing(sequence, ms, out)
            })
            const [cancel, ping] = agentHears(pair.agent(), bytes)
            assert.deepEqual(cancel, ['cancel', id, reason])
            assert.deepEqual(proxyHears(proxy, Buffer.from(ping![1] as string, 'hex')), [['pong', sequence]])
          },
        ),
        RUNS,
      )
    })
  })

  /** What a wire does not carry: the id of a gRPC configure, and on frames whether it is the first. */
  function asCarried(event: AgentEvent): AgentEvent {
    if (event.kind !== 'configure') return event
    return pair.name === 'grpc' ? { ...event, correlationId: '' } : { ...event, isInitial: true }
  }
}
