import type { Clock } from '../core/clock.ts'
import { VERSION } from '../core/version.ts'
import { listenReverse } from '../transport/reverse/reverse-listener.ts'
import type { ReverseAdmission } from './agents/admission.ts'
import { type BindAddress, formatAddress } from './config/addresses.ts'
import type { ListenConfig } from './config/config.ts'
import type { Listeners } from './listeners.ts'

/** Opens the listeners that agents dial. */
export async function openReverse(
  listen: ListenConfig,
  listeners: Listeners,
  admission: ReverseAdmission,
  clock: Clock,
): Promise<void> {
  for (const [index, { address, cert, key, clientCa }] of listen.reverse.entries()) {
    await listeners.open(
      `listen.reverse[${index}]`,
      formatAddress(address),
      () =>
        listenReverse(withScheme(address), {
          proxyId: 'weir',
          proxyVersion: VERSION,
          mode: listen.socketMode,
          tls: cert === undefined || key === undefined ? undefined : { cert, key, clientCa },
          clock,
          admit: (request, peer) => admission.admit(request, peer),
          onConnection: (connection, request) => admission.connected(connection, request),
          onRefused: (peer, reason) => admission.refused(peer, reason),
        }),
      (listener) => ({ address: listener.address, close: () => listener.close() }),
    )
  }
}

function withScheme(address: BindAddress): string {
  return address.kind === 'tcp' ? `tcp://${formatAddress(address)}` : formatAddress(address)
}
