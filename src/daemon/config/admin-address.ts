import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { WeirError } from '../../core/errors.ts'
import { type Address, parseAddress } from './addresses.ts'
import { parseConfigDocument } from './document.ts'
import { formatProblem } from './problem.ts'
import { resolveReferences } from './references.ts'

/**
 * Where the daemon of a configuration file has its admin API. Looks at `listen.admin` alone: the operator's
 * shell need not have the secrets that the rest refers to.
 * @throws WeirError INVALID_ARGUMENT
 */
export function adminAddressOf(path: string): Address {
  const file = resolve(path)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new WeirError('INVALID_ARGUMENT', `cannot read ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  const document = parseConfigDocument(file, text)
  if (!('value' in document)) throw new WeirError('INVALID_ARGUMENT', document.map(formatProblem).join('\n'))
  const { listen } = (document.value ?? {}) as { listen?: { admin?: unknown } }
  const admin = listen?.admin
  const written =
    typeof admin === 'object' && admin !== null ? (admin as { address?: unknown }).address : admin
  if (typeof written !== 'string')
    throw new WeirError(
      'INVALID_ARGUMENT',
      `${path} has no listen.admin, so nothing can be asked of its daemon`,
    )
  const { value, problems } = resolveReferences({ ...document, value: written }, process.env)
  const address = problems.length === 0 ? parseAddress(String(value)) : undefined
  if (address === undefined)
    throw new WeirError(
      'INVALID_ARGUMENT',
      `${path}: listen.admin "${written}" is no address; example: 127.0.0.1:9901`,
    )
  return address.kind === 'unix' ? { ...address, path: resolve(dirname(file), address.path) } : address
}
