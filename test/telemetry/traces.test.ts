import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Context, ProxyTracerProvider, type SpanOptions, trace } from '@opentelemetry/api'
import { createTraces } from '../../src/telemetry/traces.ts'
import { FakeClock } from '../support/fake-clock.ts'

interface Recorded {
  readonly name: string
  readonly options: SpanOptions | undefined
  readonly parent: Context | undefined
  endedAt: unknown
  status: number | undefined
}

/** A provider that remembers spans, as an SDK would export them. */
function recordSpans(): Recorded[] {
  const spans: Recorded[] = []
  trace.disable()
  trace.setGlobalTracerProvider({
    getTracer: () => ({
      startSpan(name, options, parent) {
        const recorded: Recorded = { name, options, parent, endedAt: undefined, status: undefined }
        spans.push(recorded)
        const span = new ProxyTracerProvider().getTracer('none').startSpan(name)
        span.setStatus = (status) => {
          recorded.status = status.code
          return span
        }
        span.end = (at) => {
          recorded.endedAt = at
        }
        return span
      },
      startActiveSpan: () => assert.fail('a settled call has no active span'),
    }),
  })
  return spans
}

const CALL = {
  agent: 'waf',
  phase: 'request-headers',
  transport: 'grpc',
  outcome: 'allow',
  isDenied: false,
  durationMs: 20,
  queueMs: 1,
  correlationId: 'abcdefgh-000',
} as const

test('without an SDK there is no trace probe at all', () => {
  trace.disable()
  assert.equal(createTraces('1', new FakeClock()), undefined)
})

test('a call becomes a span dated back by its duration, under the trace of its request', (t) => {
  const spans = recordSpans()
  t.after(() => trace.disable())
  const clock = new FakeClock(1000, 50_000)
  const probe = createTraces('1', clock)
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  probe?.agentCall?.({ ...CALL, traceparent: `00-${traceId}-b7ad6b7169203331-01` })
  const [span] = spans
  assert.equal(span?.name, 'waf request-headers')
  assert.equal(span.options?.startTime, 49_980)
  assert.equal(span.endedAt, 50_000)
  assert.ok(span.parent !== undefined)
  assert.equal(trace.getSpanContext(span.parent)?.traceId, traceId)
  assert.equal(span.status, undefined)
})

test('a failed call is an error span, and a broken traceparent starts a trace of its own', (t) => {
  const spans = recordSpans()
  t.after(() => trace.disable())
  createTraces('1', new FakeClock())?.agentCall?.({ ...CALL, outcome: 'TIMEOUT', traceparent: 'rubbish' })
  assert.equal(spans[0]?.status, 2)
  assert.ok(spans[0]?.parent !== undefined)
  assert.equal(trace.getSpanContext(spans[0].parent), undefined)
})
