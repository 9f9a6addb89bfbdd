import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { ConfigDocument } from './document.ts'
import { type OptionPath, optionName, type Problem } from './problem.ts'

/** A configuration with its `${env:NAME}` and `${file:path}` references filled in. */
export interface ResolvedReferences {
  readonly value: unknown
  /** Options whose value came from a reference, by name. They are shown as written, never by value. */
  readonly secretOptions: ReadonlySet<string>
  /** Files that were read, absolute. */
  readonly files: readonly string[]
  readonly problems: readonly Problem[]
}

const REFERENCE = /\$\{([^}]*)\}/g

/**
 * Fills in references inside string values: `${env:NAME}`, `${env:NAME:-default}` and `${file:path}` (relative
 * to the configuration file; one trailing line break is cut). Anything else in `${...}` is a problem, because
 * a typing error must not become part of a secret.
 */
export function resolveReferences(
  document: ConfigDocument,
  environment: Readonly<Record<string, string | undefined>>,
): ResolvedReferences {
  const secretOptions = new Set<string>()
  const files: string[] = []
  const problems: Problem[] = []
  const folder = dirname(resolve(document.file))

  function lookUp(reference: string): string | { readonly reason: string } {
    const [, kind, rest] = /^(env|file):(.+)$/s.exec(reference) ?? []
    if (kind === 'env') {
      const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(rest ?? '') ?? []
      if (name === undefined) return { reason: `"${reference}" does not name an environment variable` }
      return environment[name] ?? fallback ?? { reason: `the environment variable ${name} is not set` }
    }
    if (kind === 'file') {
      const path = resolve(folder, rest ?? '')
      try {
        const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '')
        files.push(path)
        return text
      } catch (error) {
        return { reason: `cannot read ${path}: ${(error as Error).message}` }
      }
    }
    return { reason: `unknown reference "\${${reference}}"; write \${env:NAME} or \${file:path}` }
  }

  function fill(value: unknown, path: OptionPath): unknown {
    if (typeof value === 'string') {
      if (!value.includes('${')) return value
      secretOptions.add(optionName(path))
      return value.replace(REFERENCE, (_, reference: string) => {
        const found = lookUp(reference)
        if (typeof found === 'string') return found
        problems.push({
          file: document.file,
          ...document.position(path),
          option: optionName(path),
          message: found.reason,
        })
        return ''
      })
    }
    if (Array.isArray(value)) return value.map((item, index) => fill(item, [...path, index]))
    if (value !== null && typeof value === 'object') {
      const filled: Record<string, unknown> = {}
      for (const [key, item] of Object.entries(value)) {
        Object.defineProperty(filled, key, { value: fill(item, [...path, key]), enumerable: true })
      }
      return filled
    }
    return value
  }

  return { value: fill(document.value, []), secretOptions, files, problems }
}
