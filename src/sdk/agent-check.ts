import { WeirError } from '../core/errors.ts'
import { type Agent, HANDLER_OF } from './agent.ts'

const HANDLERS: readonly string[] = [...Object.values(HANDLER_OF), 'onCancel']

/**
 * A misspelt handler would never be called, and everything it was to stop would pass. So a member that looks like a
 * handler and is none is refused, also where no compiler looked.
 * @throws WeirError INVALID_ARGUMENT
 */
export function checkAgent<S extends object>(agent: Agent<S>): void {
  const { name, id } = agent
  for (const [member, value] of Object.entries({ name, id: id ?? name }))
    if (typeof value !== 'string' || value === '')
      throw invalid(`an agent's ${member} is ${JSON.stringify(value)}; give it a text that is not empty`)
  for (const member of membersOf(agent)) {
    const value: unknown = Reflect.get(agent, member)
    if (HANDLERS.includes(member)) {
      if (value !== undefined && typeof value !== 'function')
        throw invalid(`agent ${name}: ${member} is a ${typeof value}; give it a function`)
    } else if (/^on[A-Z]/.test(member) && typeof value === 'function')
      throw invalid(`agent ${name}: ${member} is no handler; the handlers are ${HANDLERS.join(', ')}`)
  }
}

/** Names of an object's members, those of its classes included. */
function membersOf(agent: object): ReadonlySet<string> {
  const members = new Set<string>()
  for (let at: object | null = agent; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at))
    for (const member of Object.getOwnPropertyNames(at)) members.add(member)
  return members
}

function invalid(message: string): WeirError {
  return new WeirError('INVALID_ARGUMENT', message)
}
