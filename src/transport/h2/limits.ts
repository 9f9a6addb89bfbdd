/**
 * Bytes of one stream that may be on their way unread. Every peer may fill it while its stream is not read, so it is
 * no larger than it must be; the default of 64 KiB stalls large bodies.
 */
export const STREAM_WINDOW_BYTES = 4 * 1024 * 1024
/** The same for all streams of one connection. */
export const SESSION_WINDOW_BYTES = 16 * 1024 * 1024
/**
 * Frames we accept, bytes. Peers that honour it send a body piece (64 KiB) in one frame instead of five: half as much
 * again of body throughput, and nothing changes for small messages.
 */
export const FRAME_BYTES = 256 * 1024
/** Memory for header fields that the peer has us remember, bytes: what HTTP/2 begins with (RFC 9113, section 6.5.2). */
export const HEADER_TABLE_BYTES = 4096
/** Headers or trailers of one call, bytes: compressed, and again counted as RFC 7541 counts them. */
export const HEADER_LIST_BYTES = 64 * 1024
