import { STATUS_CODES } from 'node:http'
import { type ErrorCode, WeirError } from '../../core/errors.ts'
import { isFieldName, isFieldValue } from '../../core/header-field.ts'
import type { Decision } from '../../core/reply.ts'
import { denialHeaders } from '../../proxy/limits/rate-limit-headers.ts'
import type { Verdict } from '../../proxy/verdict.ts'
import { fieldName, isGuarded } from './field-names.ts'
import { applyOps, type OpObserver } from './header-list.ts'

/** A response that Weir gives itself, instead of the upstream's. Content-length is left to the writer. */
export interface Answer {
  readonly status: number
  /** Flat list, lower-case names. */
  readonly headers: string[]
  readonly body: string
}

const TEXT = 'text/plain; charset=utf-8'
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** What a refusal by an agent, or by a failure of one, looks like to the client. */
export function answerOf(verdict: Verdict, correlationId: string, observer: OpObserver): Answer {
  const answer =
    verdict.error === undefined
      ? decided(verdict.decision, correlationId)
      : answerOfError(verdict.error, correlationId, verdict.error.httpStatus, true)
  applyOps(answer.headers, verdict.responseHeaders, observer)
  return answer
}

/**
 * What clients are told of faults that are not theirs. The whole reason names agents, upstreams and their addresses;
 * it is in the access line of the correlation id.
 */
const FAULTS: Readonly<Record<ErrorCode, string>> = {
  INVALID_ARGUMENT: 'the request could not be processed',
  UNAUTHENTICATED: 'the request could not be authenticated',
  PERMISSION_DENIED: 'the request is not permitted',
  NOT_FOUND: 'nothing answers for this request',
  CONFLICT: 'the request could not be inspected now',
  BANNED: 'the request could not be inspected',
  RATE_LIMITED: 'too many requests',
  PAUSED: 'the request could not be inspected now',
  OVERLOADED: 'too many requests are waiting',
  DRAINING: 'this server is being taken out of service',
  UNAVAILABLE: 'a service that this request needs is unavailable',
  TIMEOUT: 'a service that this request needs did not answer in time',
  CANCELLED: 'the request was cancelled',
  CONNECTION_LOST: 'a service that this request needs closed the connection',
  AFFINITY_LOST: 'the rest of this request could not be inspected',
  PROTOCOL_ERROR: 'a service that this request needs gave an answer that makes no sense',
  TOO_LARGE: 'a message is larger than allowed',
  INBOX_FULL: 'too many messages are waiting',
  EXPIRED: 'the request came too late',
  STORAGE: 'a service that this request needs is unavailable',
  INTERNAL: 'the request could not be processed',
}

/** Status by the error's code, a JSON body that names it, and when to come again. */
export function answerOfError(
  error: WeirError,
  correlationId: string,
  status: number = error.httpStatus,
  isInternal: boolean = status >= 500,
): Answer {
  const headers = ['content-type', 'application/json', ...denialHeaders(error)]
  const message = isInternal ? FAULTS[error.code] : error.message
  const body = JSON.stringify({ error: error.code, message, correlationId })
  return { status, headers, body: `${body}\n` }
}

function decided(decision: Decision, correlationId: string): Answer {
  switch (decision.kind) {
    case 'block':
      return blocked(decision.status, decision.body, decision.headers ?? [], correlationId)
    case 'redirect':
      return redirected(decision.url, decision.status, correlationId)
    case 'challenge':
      return challenged(decision.params)
    case 'allow':
      return broken('an allow was to be answered as a refusal', correlationId)
  }
}

function blocked(
  status: number,
  body: string | undefined,
  fields: readonly string[],
  correlationId: string,
): Answer {
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    return broken(`an agent blocked with status ${status}, which no response can end with`, correlationId)
  }
  const headers: string[] = []
  let hasType = false
  for (let at = 0; at < fields.length; at += 2) {
    const { name, role } = fieldName(fields[at]!)
    const value = fields[at + 1]!
    if (isGuarded(role) || name === 'x-correlation-id' || !isFieldName(name) || !isFieldValue(value)) continue
    hasType ||= name === 'content-type'
    headers.push(name, value)
  }
  if (!hasType) headers.push('content-type', TEXT)
  return { status, headers, body: body ?? `${STATUS_CODES[status] ?? 'Refused'}\n` }
}

function redirected(url: string, status: number, correlationId: string): Answer {
  if (url === '' || !isFieldValue(url)) {
    return broken('an agent redirected to a URL that cannot stand in a header', correlationId)
  }
  return { status: REDIRECTS.has(status) ? status : 302, headers: ['location', url], body: '' }
}

/** The protocol's fixed set of parameters, names in any case; all others stay between agent and proxy. */
function challenged(params: Readonly<Record<string, string>>): Answer {
  const headers: string[] = []
  let body: string | undefined
  let type: string | undefined
  let status = 403
  for (const [name, value] of Object.entries(params)) {
    switch (name.toLowerCase()) {
      case 'www-authenticate':
        if (!isFieldValue(value)) break
        headers.push('www-authenticate', value)
        status = 401
        break
      case 'body':
        body = value
        break
      case 'content-type':
        if (isFieldValue(value)) type = value
        break
      default:
    }
  }
  headers.push('content-type', body === undefined ? TEXT : (type ?? TEXT))
  return { status, headers, body: body ?? `${STATUS_CODES[status]!}\n` }
}

function broken(message: string, correlationId: string): Answer {
  return answerOfError(new WeirError('INTERNAL', message), correlationId)
}
