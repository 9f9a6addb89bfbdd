import { fieldName } from './field-names.ts'
import { dropListed } from './request-shape.ts'

/** A response head of an upstream, without what belongs to its connection. */
export class ResponseHead {
  readonly status: number
  /** Flat list, lower-case names. */
  readonly fields: string[] = []
  /** Declared bytes of the body; undefined when it ends by itself. */
  readonly contentLength: number | undefined
  readonly hasBody: boolean

  constructor(status: number, raw: readonly Buffer[], isHead: boolean) {
    this.status = status
    let length: number | undefined
    let listed: Set<string> | undefined
    for (let at = 0; at < raw.length; at += 2) {
      const { name, role } = fieldName(raw[at]!.toString('latin1'))
      switch (role) {
        case 'connection':
          listed = addListed(listed, raw[at + 1]!.toString('latin1'))
          break
        case 'hop-by-hop':
        case 'transfer-encoding':
        case 'upgrade':
        case 'ours':
          break
        case 'content-length':
          length = Number(raw[at + 1]!.toString('latin1'))
          this.fields.push(name, String(length))
          break
        default:
          this.fields.push(name, raw[at + 1]!.toString('latin1'))
      }
    }
    if (listed !== undefined) dropListed(this.fields, listed)
    this.hasBody = !isHead && status !== 204 && status !== 304 && length !== 0
    this.contentLength = length
  }
}

function addListed(names: Set<string> | undefined, value: string): Set<string> | undefined {
  if (value === 'keep-alive' || value === 'close') return names
  const all = names ?? new Set<string>()
  for (const part of value.split(',')) {
    const token = part.trim().toLowerCase()
    if (token !== 'content-length') all.add(token)
  }
  return all
}
