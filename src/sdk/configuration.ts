import { createHash } from 'node:crypto'
import type { ConfigureFacts } from './agent.ts'

type Apply = (config: unknown, facts: ConfigureFacts) => void | Promise<void>

/**
 * Applies configurations one after the other. A proxy sends the same one on each of its connections, in parallel and
 * without a version; equal content joins the attempt that is under way, or is in force already.
 */
export class Configuration {
  readonly #apply: Apply
  #latest: { readonly hash: string; readonly done: Promise<void> } | undefined

  constructor(apply: Apply) {
    this.#apply = apply
  }

  /** Resolves when the content is in force; rejects with what the handler threw. */
  configure(config: unknown, facts: ConfigureFacts): Promise<void> {
    const hash = contentHash(config)
    if (this.#latest?.hash === hash) return this.#latest.done
    const before = this.#latest?.done ?? Promise.resolve()
    const attempt = { hash, done: this.#after(before, config, facts) }
    this.#latest = attempt
    /* A refused content is not in force: the next to bring it tries again. */
    attempt.done.catch(() => {
      if (this.#latest === attempt) this.#latest = undefined
    })
    return attempt.done
  }

  async #after(before: Promise<void>, config: unknown, facts: ConfigureFacts): Promise<void> {
    await before.catch(() => undefined)
    await this.#apply(config, facts)
  }
}

/** Equal for JSON values that differ only in the order of keys. */
export function contentHash(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(value ?? null)))
    .digest('hex')
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  )
}
