import {
  type Context,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import type { Clock } from '../core/clock.ts'
import { ERROR_CODES } from '../core/errors.ts'
import type { Probe } from '../core/probe.ts'

/**
 * One client span per agent call, made when the call is settled and dated back. The spans go to whatever
 * OpenTelemetry SDK the process was started with (`node --import ./otel.mjs ...`); undefined when there is
 * none, so that nothing is computed for nobody.
 */
export function createTraces(version: string, clock: Clock): Probe | undefined {
  if (!hasSdk()) return undefined
  const tracer = trace.getTracer('weir', version)
  return {
    agentCall(call) {
      const endTime = clock.wallMs()
      const span = tracer.startSpan(
        `${call.agent} ${call.phase}`,
        {
          kind: SpanKind.CLIENT,
          startTime: endTime - call.durationMs,
          attributes: {
            'rpc.system.name': 'weir',
            'rpc.method': call.phase,
            'network.transport': call.transport,
            'weir.agent': call.agent,
            'weir.outcome': call.outcome,
            'weir.queue_ms': call.queueMs,
            'weir.correlation_id': call.correlationId,
          },
        },
        parentOf(call.traceparent),
      )
      if (call.outcome in ERROR_CODES) {
        span.setAttribute('error.type', call.outcome)
        span.setStatus({ code: SpanStatusCode.ERROR, message: call.outcome })
      }
      span.end(endTime)
    },
  }
}

function hasSdk(): boolean {
  const provider = trace.getTracerProvider()
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer('weir') !== undefined
}

/** `00-<trace id>-<span id>-<flags>`, https://www.w3.org/TR/trace-context/. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

function parentOf(traceparent: string | undefined): Context {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? []
  if (traceId === undefined || spanId === undefined) return ROOT_CONTEXT
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags ?? '0', 16),
    isRemote: true,
  })
}
