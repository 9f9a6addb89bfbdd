import { isFieldName, isFieldValue } from '../../core/header-field.ts'
import type { HeaderOp } from '../../core/reply.ts'
import { fieldName, isGuarded } from './field-names.ts'

/** First value of a lower-case name in a flat list. */
export function findField(fields: readonly string[], name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1]
  return undefined
}

export function removeField(fields: string[], name: string): void {
  let kept = 0
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at] === name) continue
    if (kept !== at) {
      fields[kept] = fields[at]!
      fields[kept + 1] = fields[at + 1]!
    }
    kept += 2
  }
  fields.length = kept
}

/** Replaces every value of a name by one, in the place of the first. */
export function setField(fields: string[], name: string, value: string): void {
  let found = false
  let kept = 0
  for (let at = 0; at < fields.length; at += 2) {
    const isNamed = fields[at] === name
    if (isNamed && found) continue
    fields[kept] = fields[at]!
    fields[kept + 1] = isNamed ? value : fields[at + 1]!
    found ||= isNamed
    kept += 2
  }
  fields.length = kept
  if (!found) fields.push(name, value)
}

/** Hears of operations that were left out. An object, so that nobody makes a closure per request. */
export interface OpObserver {
  opSkipped(op: HeaderOp): void
}

/**
 * Applies an agent's operations in order. An operation whose name or value cannot stand in a header, or that
 * touches framing, is left out and told to the observer.
 */
export function applyOps(fields: string[], ops: readonly HeaderOp[], observer: OpObserver): void {
  for (const op of ops) {
    const { name, role } = fieldName(op.name)
    if (!isFieldName(name) || isGuarded(role) || (op.op !== 'remove' && !isFieldValue(op.value))) {
      observer.opSkipped(op)
      continue
    }
    switch (op.op) {
      case 'set':
        setField(fields, name, op.value)
        break
      case 'add':
        fields.push(name, op.value)
        break
      case 'remove':
        removeField(fields, name)
        break
    }
  }
}
