import type { Duplex } from 'node:stream'
import type { Clock, TimerHandle } from '../../../core/clock.ts'
import type { Verdict } from '../../../proxy/verdict.ts'
import type { WebSocketOptions } from '../options.ts'
import { CLOSE, closeFrame, type Frame } from './frame.ts'
import { FrameGate, type FrameGateOwner } from './frame-gate.ts'
import type { Tunnel } from './tunnel.ts'

export interface InspectedTunnelParts {
  readonly client: Duplex
  readonly upstream: Duplex
  readonly settings: Required<WebSocketOptions>
  readonly clock: Clock
  ask(frame: Frame, clientToServer: boolean, frameIndex: number): Promise<Verdict>
  onEnd(): void
}

/** A WebSocket connection whose frames pass the agents one by one, in order, in both directions. */
export class InspectedTunnel implements Tunnel, FrameGateOwner {
  clientBytes = 0
  upstreamBytes = 0
  readonly #parts: InspectedTunnelParts
  readonly #fromClient: FrameGate
  readonly #fromUpstream: FrameGate
  #isClosing = false
  #isOver = false
  #timer: TimerHandle | undefined

  constructor(parts: InspectedTunnelParts) {
    this.#parts = parts
    const { client, upstream, settings } = parts
    client.on('data', (chunk: Buffer) => {
      this.clientBytes += chunk.length
    })
    upstream.on('data', (chunk: Buffer) => {
      this.upstreamBytes += chunk.length
    })
    this.#fromClient = new FrameGate(this, client, upstream, true, settings.maxFrameBytes)
    this.#fromUpstream = new FrameGate(this, upstream, client, false, settings.maxFrameBytes)
    for (const side of [client, upstream]) {
      side.on('error', () => side.destroy())
      side.on('end', () => this.#sideEnded(side))
      side.on('close', () => this.#sideClosed(side))
    }
  }

  askFrame(frame: Frame, clientToServer: boolean, frameIndex: number): Promise<Verdict> {
    return this.#parts.ask(frame, clientToServer, frameIndex)
  }

  /** Says goodbye to both sides, after the frames that were allowed before, and gives them time to hear it. */
  closeBoth(code: number, reason: string): void {
    if (this.#isClosing || this.#isOver) return
    this.#isClosing = true
    this.#fromClient.stop()
    this.#fromUpstream.stop()
    this.#parts.client.end(closeFrame(code, reason, false))
    this.#parts.upstream.end(closeFrame(code, reason, true))
    this.#expectEnd()
  }

  /** The sides close between themselves; we only see that it comes to an end. */
  closePassed(): void {
    this.#expectEnd()
  }

  drain(): void {
    this.closeBoth(CLOSE.goingAway, 'the proxy is going away')
  }

  cut(): void {
    if (!this.#isOver) this.#end()
  }

  /** What the side sent before still goes through; then the other side hears of the end. */
  #sideEnded(side: Duplex): void {
    const gate = side === this.#parts.client ? this.#fromClient : this.#fromUpstream
    gate.sourceEnded()
    this.#expectEnd()
  }

  #sideClosed(side: Duplex): void {
    if (this.#isOver) return
    const { client, upstream } = this.#parts
    if (client.destroyed && upstream.destroyed) {
      this.#end()
      return
    }
    const toSide = side === client ? this.#fromUpstream : this.#fromClient
    toSide.stop()
    this.#sideEnded(side)
  }

  #end(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#fromClient.stop()
    this.#fromUpstream.stop()
    this.#parts.client.destroy()
    this.#parts.upstream.destroy()
    this.#parts.onEnd()
  }

  #expectEnd(): void {
    this.#timer ??= this.#parts.clock.setTimer(this.#parts.settings.closeTimeoutMs, () => this.#end())
  }
}
