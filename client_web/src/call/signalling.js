// The WebSocket to the server: typed messages out and in, and one word when it is gone.

/** @typedef {import('./messages.js').ClientMessage} ClientMessage */
/** @typedef {import('./messages.js').ServerMessage} ServerMessage */

export class Signalling {
  /**
   * @param {string} url
   * @param {{ onopen: () => void, onmessage: (message: ServerMessage) => void, onclose: () => void }} handlers
   */
  constructor(url, handlers) {
    this.socket = new WebSocket(url);
    this.closed = false;
    this.socket.onopen = () => handlers.onopen();
    this.socket.onmessage = (event) => {
      const message = parseServerMessage(event.data);
      if (message) handlers.onmessage(message);
    };
    this.socket.onclose = () => {
      if (this.closed) return;
      this.closed = true;
      handlers.onclose();
    };
  }

  /** @param {ClientMessage} message */
  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Close without a word to `onclose`. */
  close() {
    this.closed = true;
    this.socket.close();
  }
}

/** @param {unknown} text @returns {ServerMessage | null} null: not a message of this protocol */
export function parseServerMessage(text) {
  if (typeof text !== 'string') return null;
  try {
    const message = JSON.parse(text);
    return message !== null && typeof message === 'object' && typeof message.type === 'string' ? message : null;
  } catch {
    return null;
  }
}

/** Where the signalling of this page is. @param {Location | URL} location @returns {string} */
export function signallingUrl(location) {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`;
}
