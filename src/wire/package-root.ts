import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * A path inside the package, the same for sources and for compiled files, which lie deeper.
 * @throws Error when no folder above this file holds it: the installation is damaged.
 */
export function packagePath(relative: string): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const candidate = join(folder, relative)
    if (existsSync(candidate)) return candidate
    const parent = dirname(folder)
    if (parent === folder) throw new Error(`${relative} is missing from the installation`)
    folder = parent
  }
}
