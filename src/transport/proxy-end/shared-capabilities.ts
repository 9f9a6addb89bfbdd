import type { AgentCapabilities } from '../../core/agent-messages.ts'

/** Different capabilities remembered; the oldest goes first. Agents of one kind say the same. */
const MAX_KNOWN = 64
/** Longer ones are not remembered, so what peers can make us keep is bounded. */
const MAX_TEXT_LENGTH = 4096

const known = new Map<string, AgentCapabilities>()

/**
 * The same capabilities, as one object for all connections that announced them: thousands of connections of one
 * agent would otherwise hold as many copies. The result is frozen.
 */
export function sharedCapabilities(capabilities: AgentCapabilities): AgentCapabilities {
  const text = JSON.stringify(capabilities)
  const earlier = known.get(text)
  if (earlier !== undefined) return earlier
  if (text.length > MAX_TEXT_LENGTH) return capabilities
  if (known.size === MAX_KNOWN) {
    const [oldest] = known.keys()
    known.delete(oldest!)
  }
  known.set(text, freeze(capabilities))
  return capabilities
}

function freeze<T extends object>(value: T): T {
  for (const part of Object.values(value))
    if (typeof part === 'object' && part !== null) freeze(part as object)
  return Object.freeze(value)
}
