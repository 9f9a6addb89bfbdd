import type { IncomingMessage } from 'node:http'
import { fieldName } from './field-names.ts'

/** How the end of a request body is known. */
export type Framing = 'none' | 'length' | 'chunked'

const TOKEN_LIST = /^[\t ]*(?:[\w!#$%&'*+.^`|~-]+[\t ]*(?:,[\t ]*)?|,[\t ]*)*$/
const HOST = /^[\w.~%!$&'()*+,;=:[\]-]*$/
/** Tokens of `connection` that name no header field, or one that is dropped anyway. */
const PLAIN_CONNECTION_TOKENS = new Set(['', 'close', 'keep-alive', 'upgrade', 'te', 'http2-settings'])

/**
 * What one look over the raw headers of a request tells: the fields to pass on, and whether two readers could
 * disagree about where it ends or whom it is for. The parser (llhttp, strict) refuses most such shapes before;
 * `problem` holds what it lets through.
 */
export class RequestShape {
  /** End-to-end fields and content-length, lower-case names, order and repeats kept; without host. */
  readonly fields: string[] = []
  host: string | undefined
  framing: Framing = 'none'
  /** Declared bytes; 0 without a body, undefined for a chunked one. */
  contentLength: number | undefined = 0
  expect: string | undefined
  upgrade: string | undefined
  forwardedFor: string | undefined
  forwardedProto: string | undefined
  forwardedHost: string | undefined
  /** Why the request must be refused with 400; undefined: it need not be. */
  problem: string | undefined
  #connectionTokens: Set<string> | undefined

  constructor(request: IncomingMessage) {
    const raw = request.rawHeaders
    const fields = this.fields
    for (let at = 0; at < raw.length; at += 2) {
      const field = fieldName(raw[at]!)
      const value = raw[at + 1]!
      switch (field.role) {
        case 'end-to-end':
        case 'forwarded':
        case 'accept-encoding':
          fields.push(field.name, value)
          break
        case 'host':
          if (this.host !== undefined) this.problem = 'more than one host header'
          else if (!HOST.test(value)) this.problem = 'a host header with characters no host has'
          this.host = value
          break
        case 'content-length':
          if (this.framing !== 'none') this.problem = 'more than one statement of the body length'
          else if (!/^\d{1,15}$/.test(value)) this.problem = 'a content-length that is not a number'
          this.framing = 'length'
          this.contentLength = Number(value)
          fields.push(field.name, value)
          break
        case 'transfer-encoding':
          if (this.framing !== 'none') this.problem = 'more than one statement of the body length'
          else if (value.toLowerCase() !== 'chunked')
            this.problem = 'a transfer-encoding other than "chunked"'
          else if (request.httpVersionMinor === 0) this.problem = 'transfer-encoding in HTTP/1.0'
          this.framing = 'chunked'
          this.contentLength = undefined
          break
        case 'connection':
          this.#addConnection(value)
          break
        case 'expect':
          this.expect = value
          break
        case 'upgrade':
          this.upgrade = this.upgrade === undefined ? value : `${this.upgrade}, ${value}`
          break
        case 'x-forwarded-for':
          this.forwardedFor = this.forwardedFor === undefined ? value : `${this.forwardedFor}, ${value}`
          break
        case 'x-forwarded-proto':
          this.forwardedProto = value
          break
        case 'x-forwarded-host':
          this.forwardedHost = value
          break
        case 'hop-by-hop':
        case 'ours':
          break
      }
    }
    if (this.contentLength === 0) this.framing = 'none'
    if (this.#connectionTokens !== undefined) dropListed(fields, this.#connectionTokens)
    if (request.httpVersionMajor !== 1)
      this.problem ??= `HTTP/${request.httpVersion} on an HTTP/1.1 connection`
    if (this.host === undefined && request.httpVersionMinor !== 0) this.problem ??= 'no host header'
  }

  /** A request to speak WebSocket from here on. Any other upgrade is ignored, as RFC 9110 allows. */
  get asksForWebSocket(): boolean {
    return this.upgrade !== undefined && this.upgrade.trim().toLowerCase() === 'websocket'
  }

  #addConnection(value: string): void {
    if (value === 'keep-alive' || value === 'close' || value === 'Keep-Alive') return
    if (!TOKEN_LIST.test(value)) this.problem = 'a connection header that is not a list of names'
    for (const part of value.split(',')) {
      const token = part.trim().toLowerCase()
      if (PLAIN_CONNECTION_TOKENS.has(token)) continue
      if (token === 'content-length' || token === 'host') {
        this.problem = `a connection header that names ${token}`
      }
      this.#connectionTokens ??= new Set()
      this.#connectionTokens.add(token)
    }
  }
}

/** Removes the fields whose names are in the set, in place. */
export function dropListed(fields: string[], names: ReadonlySet<string>): void {
  let kept = 0
  for (let at = 0; at < fields.length; at += 2) {
    if (names.has(fields[at]!)) continue
    fields[kept] = fields[at]!
    fields[kept + 1] = fields[at + 1]!
    kept += 2
  }
  fields.length = kept
}
