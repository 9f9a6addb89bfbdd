import { NOT_ARMED, type WheelNode } from '../../core/timer-wheel.ts'
import type { ClientRequest } from './client-message.ts'
import type { Front } from './front.ts'

/** Time a client gets to notice an answer that came before it had sent its body. */
const LINGER_MS = 2000

/**
 * Closing a connection with unread bytes resets it, and the client may never see the answer. So after an early
 * answer what the client still sends is read and forgotten, for a while.
 */
export function linger(request: ClientRequest, front: Front): void {
  if (request.complete) return
  request.resume()
  const node: WheelNode = {
    wheelPrev: null,
    wheelNext: null,
    wheelSlot: NOT_ARMED,
    deadlineAt: 0,
    onDeadline() {
      if (!request.complete) request.socket.destroy()
    },
  }
  front.wheel.arm(node, front.clock.now() + LINGER_MS)
}
