import type { AgentCall } from './agent-call.ts'

/** Goes on with the next layer. */
export const PROCEED = 0
/** The layer took the call over: it settled it, or resumes it later. */
export const HELD = 1
export type Step = typeof PROCEED | typeof HELD

export type Recovery =
  /** The failure goes on outwards. */
  | 'none'
  /** The error is forgotten, and the layers behind this one are entered again. */
  | 'again'
  /** The error is forgotten for now: the layer settles or fails the call later. */
  | 'held'

export type LayerName =
  | 'deadline'
  | 'trace'
  | 'failure-mode'
  | 'overload'
  | 'limit'
  | 'affinity'
  | 'hedge'
  | 'failover'
  | 'acquire'
  | 'send'

/**
 * One policy around a call to an agent. Layers are entered in order and left in reverse, whatever the outcome;
 * they work on the call's own record, so a layer allocates nothing and costs one method call. A layer that has
 * nothing to do for an agent is left out of its pipeline.
 */
export interface Layer {
  readonly name: LayerName
  enter?(call: AgentCall): Step
  /** The call has a reply or an error. Called even when the layer's own `enter` failed; must bear that. */
  leave?(call: AgentCall): void
  /** The call's time is up. True: the layer gave it more. */
  extend?(call: AgentCall): boolean
  /** The call waits for room at its agent, and now there is nobody who could have it: whether it goes on waiting. */
  outlasts?(call: AgentCall, refusal: 'paused' | 'unavailable'): boolean
  /** The call failed further in. */
  recover?(call: AgentCall): Recovery
}

/** A layer with each of its fields, present or not. */
export type PipelineLayer = Pick<Layer, 'name'> & {
  readonly [Field in Exclude<keyof Layer, 'name'>]-?: Layer[Field] | undefined
}

const NO_LAYER = {
  enter: undefined,
  leave: undefined,
  extend: undefined,
  outlasts: undefined,
  recover: undefined,
}

/** The layers around each call to one agent, outermost first. */
export type Pipeline = readonly PipelineLayer[]

/** Gives all layers one shape: every call walks them twice, and a field that is always in one place is found at once. */
export function pipelineOf(layers: readonly Layer[]): Pipeline {
  return layers.map((layer) => ({ ...NO_LAYER, ...layer }))
}
