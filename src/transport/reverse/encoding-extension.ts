import type { Encoding } from '../../wire/codec.ts'

/*
 * The origin's registration has no place for an encoding. Ours travels in members that its parsers ignore: the
 * agent offers in the registration's metadata, the proxy answers with `encoding`. Absent on either side: JSON.
 */

const OFFER_KEY = 'weir.encodings'

/** Metadata of a registration with our offer added; metadata that is no object cannot carry one. */
export function withOffer(metadata: unknown, encodings: readonly Encoding[]): unknown {
  if (!encodings.includes('msgpack')) return metadata
  if (metadata === undefined || metadata === null) return { [OFFER_KEY]: encodings }
  if (typeof metadata !== 'object' || Array.isArray(metadata)) return metadata
  return { ...metadata, [OFFER_KEY]: encodings }
}

/** The first of the offered encodings that is allowed here; JSON when nothing was offered. */
export function chooseOffered(metadata: unknown, allowed: readonly Encoding[]): Encoding {
  if (typeof metadata !== 'object' || metadata === null) return 'json'
  const offer = (metadata as Record<string, unknown>)[OFFER_KEY]
  if (!Array.isArray(offer)) return 'json'
  const chosen: unknown = offer.find(
    (name: unknown) => name === 'json' || (name === 'msgpack' && allowed.includes(name)),
  )
  return chosen === 'msgpack' ? 'msgpack' : 'json'
}
