import { readFileSync } from 'node:fs'

/** Version of the package. */
export const VERSION: string = readVersion()

function readVersion(): string {
  /* Two folders up from src/core, or three from dist/src/core. */
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const text = readFileSync(new URL(up, import.meta.url), 'utf8')
      return (JSON.parse(text) as { version: string }).version
    } catch {
      /* Not there: try the next one. */
    }
  }
  return 'unknown'
}
