import type { WeirError } from '../../core/errors.ts'
import type { HeaderList } from '../../core/event.ts'
import type { RequestFactsIn, RequestScope } from '../../proxy/request-scope.ts'
import { headerOf } from '../../sdk/header-of.ts'
import { ServedRequest } from '../../sdk/served-request.ts'

/** A request of a proxy that speaks the agent protocol, and its place in ours. */
export class ProxiedRequest extends ServedRequest {
  /** Where its events go, or why they cannot. */
  place: RequestScope | WeirError | undefined
  requestId = ''
  method = ''
  /** Without query. */
  path = ''
}

/** Facts of a request that came as an event. One object instead of a closure over the headers. */
export class EventFacts implements RequestFactsIn {
  readonly clientIp: string
  readonly sessionKey: string | undefined
  readonly traceparent: string | undefined
  readonly #headers: HeaderList

  constructor(
    clientIp: string,
    headers: HeaderList,
    sessionKey: string | undefined,
    traceparent: string | undefined,
  ) {
    this.clientIp = clientIp
    this.#headers = headers
    this.sessionKey = sessionKey
    this.traceparent = traceparent
  }

  header(name: string): string | undefined {
    return headerOf(this.#headers, name)
  }
}
