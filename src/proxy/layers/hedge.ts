import type { Clock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import { NOT_ARMED, type TimerWheel, type WheelNode } from '../../core/timer-wheel.ts'
import type { PooledConnection } from '../../pool/pooled-connection.ts'
import { AgentCall, type CallOwner } from '../agent-call.ts'
import { HELD, type Layer, type Pipeline, PROCEED, pipelineOf } from '../layer.ts'
import { UNPINNED } from '../request-scope.ts'

/**
 * Asks a second connection when the first has not answered a header event in time; the first answer wins and the
 * other is cancelled. A first try that fails leaves the second to answer. Only for events that no earlier event of the request binds to a connection. The agent may
 * see such an event twice: operators choose that per agent.
 */
export function hedgeLayer(wheel: TimerWheel, clock: Clock, inner: readonly Layer[]): Layer {
  const pipeline = pipelineOf([inner[0]!, elsewhereLayer, ...inner.slice(1)])
  return {
    name: 'hedge',
    enter(call: AgentCall) {
      const { kind } = call.event
      const isHeaders = kind === 'request-headers' || kind === 'response-headers'
      if (!isHeaders || call.pinnedTo !== UNPINNED) return PROCEED
      call.hedge = new Hedge(call, pipeline, wheel, clock)
      wheel.arm(call.hedge, clock.now() + call.policy.hedgeAfterMs!)
      return PROCEED
    },
    recover(call: AgentCall) {
      if (call.hedge === null || !call.hedge.outlives(call.error!)) return 'none'
      call.connection = null
      return 'held'
    },
    leave(call: AgentCall) {
      if (call.hedge === null) return
      call.hedge.end()
      /* Its own lease ended with its loss; those further out look for where the answer came from. */
      call.connection ??= call.hedge.answeredOn
      call.hedge = null
    },
  }
}

/** A hedge on the same connection would only queue behind the event it is meant to overtake. */
const elsewhereLayer: Layer = {
  name: 'hedge',
  enter(twin: AgentCall) {
    if (twin.connection!.id !== twin.avoid) return PROCEED
    twin.fail(new WeirError('UNAVAILABLE', 'there is no second connection to hedge on', { sent: false }))
    return HELD
  },
}

/** The second try of one call, from its timer to its end. */
export class Hedge implements WheelNode, CallOwner {
  wheelPrev: WheelNode | null = null
  wheelNext: WheelNode | null = null
  wheelSlot: number = NOT_ARMED
  deadlineAt = 0
  readonly #call: AgentCall
  readonly #pipeline: Pipeline
  readonly #wheel: TimerWheel
  readonly #clock: Clock
  /** Where the second try was answered, when its answer counts. */
  answeredOn: PooledConnection | null = null
  #twin: AgentCall | undefined
  /** How the first try failed while the second went on. */
  #failure: WeirError | undefined

  constructor(call: AgentCall, pipeline: Pipeline, wheel: TimerWheel, clock: Clock) {
    this.#call = call
    this.#pipeline = pipeline
    this.#wheel = wheel
    this.#clock = clock
  }

  onDeadline(): void {
    const call = this.#call
    if (!call.isPending) return
    const twin = new AgentCall(
      call.agent,
      call.event,
      call.scope,
      this.#pipeline,
      this,
      call.index,
      this.#clock,
    )
    twin.avoid = call.connection!.id
    this.#twin = twin
    twin.advance()
  }

  /** The first try failed, the second is under way. */
  get isAlone(): boolean {
    return this.#failure !== undefined
  }

  /** The first try failed. True: the second one may still answer, and the call goes on with it. */
  outlives(failure: WeirError): boolean {
    if (this.#twin === undefined || failure.code === 'TIMEOUT' || failure.code === 'CANCELLED') return false
    this.#failure = failure
    return true
  }

  /** The twin answered: its answer is the call's. A twin that failed changes nothing while the first try goes on. */
  onSettled(twin: AgentCall): void {
    const call = this.#call
    this.#twin = undefined
    if (twin.reply !== null) {
      this.answeredOn = twin.connection
      call.overtake(twin.reply)
    } else if (this.#failure !== undefined) {
      call.fail(twin.error?.code === 'CANCELLED' ? twin.error : this.#failure)
    } else if (call.connection !== null) call.pin(this.#clock.now())
  }

  /** The call settled without its twin. */
  end(): void {
    this.#wheel.disarm(this)
    const twin = this.#twin
    this.#twin = undefined
    if (twin === undefined) return
    const { error, cancelReason } = this.#call
    if (this.#failure === undefined || error === null) {
      twin.cancel('manual')
      return
    }
    /* Alone, it is the twin's connection that did not answer. */
    twin.cancelReason = cancelReason
    twin.fail(error)
  }
}
