import type { Encoding, HandshakeRequest } from '../../wire/codec.ts'

/** What Weir calls itself in handshakes; a peer of that name understands everything we do. */
export const OUR_PROXY_ID = 'weir'

/** First release of the origin whose MessagePack frames can be read by both sides. */
const FIRST_SOUND_MSGPACK = [0, 6, 45] as const

/**
 * The encoding an agent answers with: the proxy's first offer among `allowed`, where MessagePack needs a proxy
 * that is ours or recent enough. Never one that was not offered.
 */
export function chooseEncoding(request: HandshakeRequest, allowed: readonly Encoding[]): Encoding {
  for (const offer of request.supportedEncodings) {
    if (!allowed.includes(offer)) continue
    if (offer === 'msgpack' && !writesSoundMsgpack(request)) continue
    return offer
  }
  return 'json'
}

function writesSoundMsgpack({ proxyId, proxyVersion }: HandshakeRequest): boolean {
  if (proxyId === OUR_PROXY_ID) return true
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(proxyVersion)
  if (match === null) return false
  for (let part = 0; part < FIRST_SOUND_MSGPACK.length; part++) {
    const difference = Number(match[part + 1]) - FIRST_SOUND_MSGPACK[part]!
    if (difference !== 0) return difference > 0
  }
  return true
}
