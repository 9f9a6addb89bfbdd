import { stringify } from 'yaml'

/** A plain value as YAML text. */
export function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: 110 })
}
