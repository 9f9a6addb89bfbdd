import type { Clock } from '../../core/clock.ts'
import type { CorrelationIds } from '../../core/correlation-id.ts'
import type { Probe } from '../../core/probe.ts'
import type { TimerWheel } from '../../core/timer-wheel.ts'
import type { Dispatcher } from '../../proxy/dispatcher.ts'
import type { TrustedProxies } from './forwarding.ts'
import type { HttpFrontendSettings } from './options.ts'
import type { HttpRoute, RouteTable } from './route-table.ts'
import type { Upstream } from './upstreams.ts'
import type { Tunnel } from './websocket/tunnel.ts'

/** A route with the connections it leads to. */
export interface LiveRoute extends HttpRoute {
  readonly target: Upstream
}

/** What every exchange of one front end shares. */
export interface Front {
  readonly settings: HttpFrontendSettings
  readonly dispatcher: Dispatcher
  readonly clock: Clock
  readonly probe: Probe
  readonly wheel: TimerWheel
  /** For answers to requests that never get as far as the dispatcher. */
  readonly ids: CorrelationIds
  readonly trusted: TrustedProxies
  /** Swapped as a whole; a request keeps the route it was matched to. */
  routes: RouteTable<LiveRoute>
  /** Exchanges begun and not over. */
  openExchanges: number
  /** Set while somebody waits for the last of them. */
  onLastExchange: (() => void) | undefined
  /** Responses end their connections from now on. */
  isDraining: boolean
  /** WebSocket connections open now. */
  readonly tunnels: Set<Tunnel>
}
