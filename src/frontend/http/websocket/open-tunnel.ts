import type { Duplex } from 'node:stream'
import type { Exchange } from '../exchange.ts'
import type { Front } from '../front.ts'
import { InspectedTunnel } from './inspected-tunnel.ts'
import { RawTunnel } from './raw-tunnel.ts'
import type { Tunnel } from './tunnel.ts'

/** Connects both sides of a WebSocket connection, past the agents when they want its frames. */
export function openTunnel(
  exchange: Exchange,
  front: Front,
  client: Duplex,
  upstream: Duplex,
  onEnd: () => void,
): Tunnel {
  const { route, scope, clientIp } = exchange
  if (!route.chain.wants('websocket-frame')) return new RawTunnel(client, upstream, onEnd)
  return new InspectedTunnel({
    client,
    upstream,
    settings: front.settings.webSocket,
    clock: front.clock,
    onEnd,
    async ask(frame, clientToServer, frameIndex) {
      const verdict = await front.dispatcher.dispatch(
        {
          kind: 'websocket-frame',
          correlationId: scope.correlationId,
          opcode: frame.opcode,
          data: frame.payload,
          clientToServer,
          frameIndex,
          fin: frame.fin,
          routeId: route.name,
          clientIp,
        },
        scope,
      )
      exchange.outcome.note(verdict)
      const isRefused =
        verdict.error !== undefined ||
        verdict.websocketDecision?.kind === 'close' ||
        (verdict.websocketDecision === undefined && verdict.decision.kind !== 'allow')
      if (isRefused) exchange.outcome.denied(verdict)
      return verdict
    },
  })
}
