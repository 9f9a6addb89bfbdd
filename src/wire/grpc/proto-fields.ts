import type { HeaderList } from '../../core/event.ts'
import * as field from '../shape/fields.ts'
import { lowerCaseName } from '../shape/header-name.ts'
import type { ProtoMessage } from './service.ts'

/* Readers of decoded messages: an absent member is its type's zero, as proto3 has it. */

export function text(of: ProtoMessage, name: string): string {
  const value = of[name]
  return typeof value === 'string' ? value : ''
}

export function optionalText(of: ProtoMessage, name: string): string | undefined {
  const value = of[name]
  return typeof value === 'string' ? value : undefined
}

export function number(of: ProtoMessage, name: string): number {
  const value = of[name]
  return typeof value === 'number' ? value : 0
}

export function optionalNumber(of: ProtoMessage, name: string): number | undefined {
  const value = of[name]
  return typeof value === 'number' ? value : undefined
}

export function flag(of: ProtoMessage, name: string): boolean {
  return of[name] === true
}

export function optionalMessage(of: ProtoMessage, name: string): ProtoMessage | undefined {
  const value = of[name]
  return field.isRecord(value) ? value : undefined
}

export function message(of: ProtoMessage, name: string): ProtoMessage {
  return optionalMessage(of, name) ?? {}
}

export function messages(of: ProtoMessage, name: string): readonly ProtoMessage[] {
  const value = of[name]
  return Array.isArray(value) ? (value as readonly ProtoMessage[]) : []
}

export function texts(of: ProtoMessage, name: string): readonly string[] {
  const value = of[name]
  return Array.isArray(value) ? (value as readonly string[]) : []
}

export function numbers(of: ProtoMessage, name: string): readonly number[] {
  const value = of[name]
  return Array.isArray(value) ? (value as readonly number[]) : []
}

export function textMap(of: ProtoMessage, name: string): Readonly<Record<string, string>> {
  return field.textMap(of[name], name)
}

/** A copy of its own, because the decoder's points into the chunk that was read. */
export function bytes(of: ProtoMessage, name: string): Buffer {
  return optionalBytes(of, name) ?? Buffer.alloc(0)
}

export function optionalBytes(of: ProtoMessage, name: string): Buffer | undefined {
  const value = of[name]
  return value instanceof Uint8Array ? Buffer.from(value) : undefined
}

export function headers(of: ProtoMessage, name: string): string[] {
  const flat: string[] = []
  for (const header of messages(of, name)) {
    flat.push(lowerCaseName(text(header, 'name')), text(header, 'value'))
  }
  return flat
}

export function plainHeaders(list: HeaderList): ProtoMessage[] {
  const plain: ProtoMessage[] = []
  for (let i = 0; i + 1 < list.length; i += 2) plain.push({ name: list[i], value: list[i + 1] })
  return plain
}

/** The members that are not undefined. */
export function present(of: ProtoMessage): ProtoMessage {
  const kept: Record<string, unknown> = {}
  for (const name of Object.keys(of)) if (of[name] !== undefined) kept[name] = of[name]
  return kept
}

/** Parses JSON text from a peer. @throws WeirError PROTOCOL_ERROR */
export function jsonOf(value: string, what: string): unknown {
  try {
    return JSON.parse(value) as unknown
  } catch {
    throw field.malformed(what, 'JSON text', value)
  }
}
