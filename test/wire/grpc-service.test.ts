import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../src/core/clock.ts'
import { WeirError } from '../../src/core/errors.ts'
import {
  type AgentControlMessage,
  DRAIN_REASONS,
  decodeAgentControl,
  decodeProxyControl,
  encodeAgentControl,
  encodeProxyControl,
  type ProxyControlMessage,
  SHUTDOWN_REASONS,
} from '../../src/wire/grpc/control-stream.ts'
import { encodeEvent, encodeReply } from '../../src/wire/grpc/encode.ts'
import { readAgentMessage } from '../../src/wire/grpc/read-agent-message.ts'
import { readProxyMessage } from '../../src/wire/grpc/read-proxy-message.ts'
import {
  agentServiceDefinition,
  CONTROL_STREAM_PATH,
  PROCESS_EVENT_PATH,
  PROCESS_STREAM_PATH,
} from '../../src/wire/grpc/service.ts'
import { packagePath } from '../../src/wire/package-root.ts'
import * as arbitrary from './support/arbitraries.ts'
import { withoutUndefined } from './support/codecs.ts'
import { recordingAgentSink, recordingProxySink } from './support/recording-sink.ts'

test('the service has the paths and the streaming kinds that peers call', () => {
  const { ProcessStream, ControlStream, ProcessEvent } = agentServiceDefinition
  assert.deepEqual(
    [ProcessStream!.path, ControlStream!.path, ProcessEvent!.path],
    [PROCESS_STREAM_PATH, CONTROL_STREAM_PATH, PROCESS_EVENT_PATH],
  )
  for (const method of [ProcessStream!, ControlStream!]) {
    assert.ok(method.requestStream && method.responseStream)
  }
  assert.ok(!ProcessEvent!.requestStream && !ProcessEvent!.responseStream)
})

test("extensions of Weir's own have numbers from 1000 up, and none of the protocol's has", () => {
  const proto = readFileSync(packagePath('proto/agent_v2.proto'), 'utf8')
  const numbers = [...proto.matchAll(/^ {2}[\w<>, ]+ (\w+) = (\d+);/gm)].map((match) => Number(match[2]))
  const extensions = numbers.filter((number) => number >= 1000)
  assert.equal(extensions.length, 14, 'thirteen fields and one frame type')
  assert.ok(numbers.filter((number) => number < 1000).every((number) => number <= 14))
})

test('ControlStream messages cross', () => {
  const update = fc.record({
    requestId: arbitrary.text(),
    timestampMs: arbitrary.count(),
    update: arbitrary.configUpdate(),
  })
  const toProxy = fc.oneof<fc.Arbitrary<AgentControlMessage>[]>(
    fc.record({ kind: fc.constant('health' as const), report: arbitrary.healthReport() }),
    fc.record({ kind: fc.constant('metrics' as const), report: arbitrary.metricsReport() }),
    fc.record({ kind: fc.constant('config-update' as const), request: update }),
  )
  const timestampMs = arbitrary.count()
  const toAgent = fc.oneof<fc.Arbitrary<ProxyControlMessage>[]>(
    fc.record({
      kind: fc.constant('configure' as const),
      config: fc.constantFrom({}, { a: 1 }, null),
      configVersion: arbitrary.maybe(arbitrary.text()),
      isInitial: fc.boolean(),
      timestampMs,
    }),
    fc.record({
      kind: fc.constant('shutdown' as const),
      reason: fc.constantFrom(...SHUTDOWN_REASONS),
      gracePeriodMs: arbitrary.count(),
      timestampMs,
    }),
    fc.record({
      kind: fc.constant('drain' as const),
      reason: fc.constantFrom(...DRAIN_REASONS),
      durationMs: arbitrary.count(),
      timestampMs,
    }),
    fc.record({
      kind: fc.constant('config-response' as const),
      requestId: arbitrary.text(),
      accepted: fc.boolean(),
      error: arbitrary.maybe(arbitrary.text()),
      timestampMs,
    }),
  )
  fc.assert(
    fc.property(toProxy, toAgent, (report, order) => {
      assert.deepEqual(
        withoutUndefined(decodeAgentControl(encodeAgentControl(report))),
        withoutUndefined(report),
      )
      assert.deepEqual(
        withoutUndefined(decodeProxyControl(encodeProxyControl(order))),
        withoutUndefined(order),
      )
    }),
    { numRuns: 150 },
  )
  assert.equal(decodeAgentControl(Buffer.alloc(0)), undefined)
  assert.throws(() => decodeProxyControl(Buffer.from([0x0a, 0x05])), WeirError)
})

test('messages cross without a prefix, for libraries that frame them', () => {
  fc.assert(
    fc.property(arbitrary.agentEvent(), arbitrary.agentReply(), (event, reply) => {
      const agent = recordingProxySink()
      const asked = encodeEvent(event, 1)
      readProxyMessage(asked, 0, asked.length, agent.sink, systemClock)
      assert.equal(agent.told[0]![0], 'event')
      assert.equal((agent.told[0]![1] as typeof event).kind, event.kind)
      const proxy = recordingAgentSink()
      const answered = encodeReply(reply)
      readAgentMessage(answered, 0, answered.length, proxy.sink)
      assert.deepEqual(withoutUndefined(proxy.told), [['reply', withoutUndefined(reply)]])
    }),
    { numRuns: 150 },
  )
})
