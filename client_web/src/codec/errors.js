// Errors of the codec: bad bytes from a peer, and misuse of a stream. Twin of codec/errors.py.

export class CodecError extends Error {
  /** @param {string} message what was expected and what came */
  constructor(message) {
    super(message);
    this.name = this.constructor.name;
  }
}

/** The bytes of a peer are not what SPEC allows. */
export class BitstreamError extends CodecError {}

/** A frame or patch does not fit the stream as it stands (another epoch, no record yet). */
export class StreamStateError extends CodecError {}
