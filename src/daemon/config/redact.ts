import type { ConfigDocument } from './document.ts'
import type { OptionPath } from './problem.ts'

/** Option names whose literal values are not shown. */
const SENSITIVE = /(secret|token|password|passwd|passphrase|credential|api[-_]?key|authorization|private)/i
const HIDDEN = '(hidden)'

/**
 * The configuration as written, fit to be shown: references like `${env:NAME}` stay references, and literal
 * values under names that sound like secrets are hidden.
 */
export function redact(document: ConfigDocument): unknown {
  return hide(document.value, false)
}

function hide(value: unknown, isSensitive: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => hide(item, isSensitive))
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, hide(item, isSensitive || SENSITIVE.test(key))]),
    )
  if (!isSensitive || value === null) return value
  return typeof value === 'string' && /^\$\{(env|file):[^}]*\}$/.test(value) && !value.includes(':-')
    ? value
    : HIDDEN
}

/** The first option at or below `path` that comes by reference or sounds like a secret; undefined: none does. */
export function secretIn(value: unknown, path: OptionPath): OptionPath | undefined {
  let at = value
  for (const step of path) at = (at as Readonly<Record<string, unknown>> | null | undefined)?.[step]
  return search(at, path)
}

function search(value: unknown, path: OptionPath): OptionPath | undefined {
  if (typeof value === 'string' && /\$\{(env|file):/.test(value)) return path
  if (value === null || typeof value !== 'object') return undefined
  for (const [key, item] of Object.entries(value)) {
    const here = [...path, Array.isArray(value) ? Number(key) : key]
    if (SENSITIVE.test(key) && item !== null) return here
    const found = search(item, here)
    if (found !== undefined) return found
  }
  return undefined
}
